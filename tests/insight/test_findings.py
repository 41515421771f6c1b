"""What an Insight keeps, counts and logs."""

from __future__ import annotations

import logging
import os
import threading

import pytest

from tenantpool.insight import Finding, Insight, Options
from tenantpool.insight.sampler import Sampler, is_read


def slow(tenant: str = "acme", statement: str = "select ?") -> Finding:
    return Finding("slow statement", tenant, "took 1 s", "an index", statement, "a.py:1 in f", 1.0)


def test_findings_are_shown_the_latest_first_and_by_tenant():
    insight = Insight()
    insight.note(slow("a"))
    insight.note(slow("b"))
    assert [finding.tenant for finding in insight.findings()] == ["b", "a"]
    assert [finding.tenant for finding in insight.findings("a")] == ["a"]
    assert insight.findings("nobody") == []
    assert repr(insight) == "<Insight: 2 findings (2 times) of 2 tenants, explain off>"


def test_the_same_finding_is_kept_once_and_counted():
    insight = Insight()
    for _ in range(3):
        insight.note(slow())
    insight.note(slow(statement="select ? from t"))
    assert [finding.times for finding in insight.findings()] == [1, 3]
    assert insight.counts()["acme"].slow == 4


def test_findings_and_tenants_are_bounded():
    insight = Insight(Options(findings=10, tenants=5))
    for number in range(100):
        insight.note(slow(f"t{number}"))
    assert [f.tenant for f in insight.findings()] == [f"t{n}" for n in range(99, 89, -1)]
    assert list(insight.counts()) == ["t95", "t96", "t97", "t98", "t99"]
    assert len(insight._logged_at) == 10


def test_every_kind_is_counted_by_itself():
    insight = Insight()
    for kind in ("repeated statement", "plan", "plan", "long lease", "idle in transaction"):
        insight.note(Finding(kind, "a", "x", "y"))
    counts = insight.counts()["a"]
    found = (counts.slow, counts.repeated, counts.plans, counts.long_leases)
    assert (*found, counts.idle_in_transaction) == (0, 1, 2, 1, 1)


def test_the_same_finding_is_logged_once_in_a_while(caplog: pytest.LogCaptureFixture):
    for interval, lines in ((60, 1), (0, 3)):
        caplog.clear()
        insight = Insight(Options(log_interval=interval))
        for _ in range(3):
            insight.note(slow())
        assert len(caplog.records) == lines
    record = caplog.records[-1]
    assert record.levelno == logging.WARNING
    assert record.event == "slow statement"  # type: ignore[attr-defined]
    fields = record.fields  # type: ignore[attr-defined]
    assert (fields["tenant"], fields["statement"], fields["times"]) == ("acme", "select ?", 3)
    assert fields["fix"] == "an index"


def test_a_finding_says_all_of_it_in_a_line():
    said = str(slow())
    assert said == "acme: slow statement: took 1 s, at a.py:1 in f [select ?]. an index"


def test_threads_may_note_at_the_same_time():
    insight = Insight(Options(findings=5, log_interval=60))
    go = threading.Barrier(4)

    def note() -> None:
        go.wait()
        for number in range(500):
            insight.note(slow(f"t{number % 20}"))
            insight.findings()

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts.slow for counts in insight.counts().values()) == 2000


def test_a_fork_can_go_on_although_a_thread_had_the_lock():
    insight = Insight()
    insight._lock.acquire()
    child = os.fork()
    if not child:
        insight._disown()
        insight.note(slow())
        os._exit(len(insight.findings()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.parametrize(
    "options", [{"slow": 0}, {"repeats": 1}, {"cut": 0}, {"long_lease": -1}, {"log_interval": -1}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, float]):
    [name] = options
    with pytest.raises(ValueError, match=f"{name}: .* is too small"):
        Options(**options)  # type: ignore[arg-type]


def test_a_shape_passes_once_in_an_interval():
    sampler = Sampler(10)
    turns = [(shape, now) for now in (0, 5, 9, 10, 15, 21) for shape in "ab"]
    passed = [turn for turn in turns if sampler.passes(*turn)]
    assert passed == [("a", 0), ("b", 0), ("a", 10), ("b", 10), ("a", 21), ("b", 21)]


def test_a_sampler_remembers_a_bounded_number_of_shapes():
    sampler = Sampler(10)
    for number in range(5000):
        assert sampler.passes(f"select {number}", 0)
    assert repr(sampler) == "<Sampler of 1000 shapes, each once in 10 s>"


@pytest.mark.parametrize(
    ("shape", "is_one"),
    [
        ("select ?", True),
        ("SELECT ?;", True),
        ("with x as (select ?) select * from x", True),
        ("select updated from deleted_things", True),
        ("with x as (delete from t returning *) select * from x", False),
        ("select * into u from t", False),
        ("select * from t for update", False),
        ("select * from t for key share", False),
        ("select nextval(?)", False),
        ("select pg_advisory_lock(?)", False),
        ("select ?; drop table t", False),
        ("update t set a = ?", False),
        ("explain select ?", False),
        ("selection", False),
    ],
)
def test_only_reads_are_explained(shape: str, is_one: bool):
    assert is_read(shape) is is_one
