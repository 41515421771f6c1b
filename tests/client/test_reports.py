"""What a client keeps until the service was told of it."""

from __future__ import annotations

import threading

from tenantpool.client.reports import Reports
from tenantpool.insight import Finding, Insight
from tenantpool.v1.session_pb2 import Heartbeat

PLENTY = 1_000_000


def found(statement: str = "select ?") -> Finding:
    return Finding("slow statement", "a", "took 1 s", "an index", statement, "a.py:1 in f", 1.0)


def fill(reports: Reports, *statements: str) -> None:
    for statement in statements:
        reports.note(found(statement))


def said(reports: Reports, size: int = PLENTY) -> list[tuple[str, int]]:
    heartbeat = Heartbeat()
    reports.move_to(heartbeat, size)
    return [(finding.statement, finding.times) for finding in heartbeat.findings]


def test_what_is_found_is_said_once_and_known_to_the_insight():
    insight = Insight()
    reports = Reports(insight)
    fill(reports, "one", "two", "one")
    assert repr(reports) == "<Reports: 2 to be said>"
    assert said(reports) == [("two", 1), ("one", 2)]
    assert said(reports) == []
    assert not reports
    fill(reports, "one")
    assert said(reports) == [("one", 1)]
    assert [finding.times for finding in insight.findings()] == [3, 1]


def test_clients_that_share_an_insight_say_what_they_found_themselves():
    insight = Insight()
    one, other = Reports(insight), Reports(insight)
    fill(one, "one")
    fill(other, "two")
    assert (said(one), said(other)) == ([("one", 1)], [("two", 1)])


def test_a_heartbeat_says_only_so_many_the_oldest_first():
    reports = Reports(Insight())
    fill(reports, *map(str, range(40)))
    assert [len(said(reports)) for _ in range(4)] == [16, 16, 8, 0]


def test_a_heartbeat_says_no_more_than_the_service_takes():
    reports = Reports(Insight())
    fill(reports, "x" * 200, "y" * 200, "z" * 200)
    size = 700
    heartbeat = Heartbeat()
    assert len(reports.move_to(heartbeat, size)) == 2
    assert heartbeat.ByteSize() <= size
    assert [statement[0] for statement, _ in said(reports, size)] == ["z"]


def test_what_is_too_long_for_any_heartbeat_does_not_keep_the_rest_waiting():
    reports = Reports(Insight())
    fill(reports, "x" * 400, "y")
    assert said(reports, 150) == [("y", 1)]
    assert not reports


def test_what_nobody_heard_is_said_again():
    reports = Reports(Insight())
    fill(reports, "one", "two")
    unheard = reports.move_to(Heartbeat(), PLENTY)
    fill(reports, "two")
    reports.take_back(unheard)
    assert sorted(said(reports)) == [("one", 1), ("two", 2)]


def test_what_waits_is_bounded():
    reports = Reports(Insight())
    fill(reports, *map(str, range(1000)))
    assert said(reports)[0] == ("744", 1)


def test_a_fork_leaves_it_to_its_parent():
    reports = Reports(Insight())
    fill(reports, "one")
    with reports._lock:
        reports._disown()
    assert said(reports) == []


def test_threads_may_note_while_others_say():
    reports = Reports(Insight())
    total = [0]

    def say() -> None:
        while total[0] < 2000:
            total[0] += sum(times for _, times in said(reports))

    sayer = threading.Thread(target=say)
    sayer.start()
    noters = [
        threading.Thread(target=lambda: fill(reports, *map(str, range(20)))) for _ in range(100)
    ]
    for noter in noters:
        noter.start()
    for thread in (*noters, sayer):
        thread.join(30)
    assert not sayer.is_alive()
    assert total[0] == 2000
