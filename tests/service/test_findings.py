"""What the service keeps of the findings that workers report."""

from __future__ import annotations

import logging
import re

import pytest

from tenantpool.insight import Finding, Insight
from tenantpool.insight.wire import to_report
from tenantpool.service.desk import Desk
from tenantpool.service.findings import Findings, largest
from tenantpool.service.identity import Identity
from tenantpool.v1.session_pb2 import Finding as Report
from tests.service.desks import begin, desk
from tests.support.servers import on_latest

__all__ = ["desk"]

pytestmark = on_latest


def report(tenant: str = "a", statement: str = "select ?", times: int = 1) -> Report:
    found = ("slow statement", tenant, "took 1 s", "an index", statement, "a.py:1 in f", 1.0)
    return to_report(Finding(*found, times=times, last=100.0), 100.0)  # type: ignore[arg-type]


def shapes(findings: Findings) -> list[str]:
    return [finding.statement for finding in findings.findings()]


async def test_reports_of_several_workers_are_one_finding(desk: Desk):
    one, other = begin(desk), begin(desk)
    other.name = "worker 2"
    desk.findings.hear(one, [report(times=2)])
    desk.findings.hear(other, [report(times=3)])
    [finding] = desk.findings.findings("a")
    assert (finding.times, finding.worker) == (5, "worker 2")
    assert desk.findings.counts()["a"].slow == 5
    assert desk.findings.findings("b") == []
    assert repr(desk.findings) == "<Findings: 1 findings (5 times) of 1 tenants, 0 dropped>"


async def test_what_the_identity_may_not_lease_is_dropped_and_counted(desk: Desk):
    worker = begin(desk, identity=Identity("only a", tenants=re.compile("a|z")))
    desk.findings.hear(worker, [report("a"), report("b"), report("z"), report("")])
    assert [finding.tenant for finding in desk.findings.findings()] == ["a"]
    assert set(desk.findings.counts()) == {"a"}
    assert desk.findings.dropped == 3


async def test_a_worker_that_is_barred_has_nothing_to_say(desk: Desk):
    worker = begin(desk)
    worker.barred = "its token was revoked"
    desk.findings.hear(worker, [report()])
    assert (desk.findings.findings(), desk.findings.dropped) == ([], 1)


async def test_a_kind_of_a_later_version_is_dropped(desk: Desk):
    desk.findings.hear(begin(desk), [Report(kind=77, tenant="a")])  # type: ignore[arg-type]
    assert desk.findings.dropped == 1


async def test_a_worker_that_reports_without_end_is_not_listened_to(
    desk: Desk, caplog: pytest.LogCaptureFixture
):
    worker, quiet = begin(desk), begin(desk)
    desk.findings.hear(worker, [report(statement=str(number)) for number in range(1000)])
    kept = len(desk.findings.findings())
    assert 64 <= kept < 200
    assert desk.findings.dropped == 1000 - kept
    assert len(caplog.records) == kept
    desk.findings.hear(quiet, [report(statement="of another")])
    assert shapes(desk.findings)[0] == "of another"


async def test_a_finding_is_logged_once_a_minute_with_its_worker(
    desk: Desk, caplog: pytest.LogCaptureFixture
):
    worker = begin(desk)
    for _ in range(3):
        desk.findings.hear(worker, [report()])
    [record] = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert record.__dict__["event"] == "slow statement"
    fields = record.__dict__["fields"]
    assert (fields["tenant"], fields["worker"], fields["statement"]) == (
        "a",
        "worker 1",
        "select ?",
    )


async def test_the_managers_own_findings_are_among_them(desk: Desk):
    insight = desk._manager._runtime.insight = Insight()
    desk.findings.hear(begin(desk), [report()])
    insight.note(Finding("long lease", "a", "held for 60 s so far", "end it"))
    insight.note(Finding("long lease", "b", "held for 60 s so far", "end it"))
    kinds = [finding.kind for finding in desk.findings.findings("a")]
    assert kinds == ["long lease", "slow statement"]
    counts = desk.findings.counts()
    assert (counts["a"].slow, counts["a"].long_leases, counts["b"].long_leases) == (1, 1, 1)


async def test_findings_leave_room_in_the_longest_request(desk: Desk):
    assert largest(desk.rules.max_request_size) == 16_384
    assert [largest(size) for size in (1000, 1)] == [500, 0]
