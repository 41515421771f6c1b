"""How findings go over the wire."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenantpool.insight import Finding
from tenantpool.insight.finding import KINDS, Kind
from tenantpool.insight.wire import LONGEST, from_report, to_report, together
from tenantpool.v1.session_pb2 import FINDING_KIND_PLAN, FindingKind
from tenantpool.v1.session_pb2 import Finding as Report

FOUND = Finding(
    *("repeated statement", "acme", "101 times in one lease", "a JOIN", "select ?", "a.py:1 in f"),
    seconds=0.25,
    count=101,
    times=3,
    last=1000.0,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_finding_arrives_as_it_was_sent(kind: Kind):
    found = replace(FOUND, kind=kind)
    report = Report.FromString(to_report(found, 1000.5).SerializeToString())
    assert FindingKind.Name(report.kind) == f"FINDING_KIND_{kind.upper().replace(' ', '_')}"
    assert from_report(report, 1000.5) == found


def test_the_age_counts_and_not_the_clock_of_the_worker():
    heard = from_report(to_report(FOUND, 1002.0), 5000.0)
    assert heard is not None
    assert heard.last == 4998.0
    from_the_future = from_report(to_report(FOUND, 900.0), 5000.0)
    assert from_the_future is not None
    assert from_the_future.last == 5000.0


def test_long_texts_are_cut_on_both_sides():
    long = "x" * 10_000
    sent = to_report(replace(FOUND, what=long, fix=long, statement=long, place=long), 1000.0)
    received = from_report(
        Report(kind=FINDING_KIND_PLAN, what=long, fix=long, statement=long, place=long), 0.0
    )
    assert received is not None
    for one in (sent, received):
        for text in (one.what, one.fix, one.statement, one.place):
            assert (len(text), text[-1]) == (LONGEST, "…")


def test_a_kind_that_is_not_known_is_no_finding():
    assert from_report(Report(tenant="a"), 0.0) is None
    assert from_report(Report(kind=99, tenant="a"), 0.0) is None  # type: ignore[arg-type]


def test_texts_cannot_break_a_line():
    heard = from_report(Report(kind=FINDING_KIND_PLAN, what="a\nb\x1b[2J", place="c\rd"), 0.0)
    assert heard is not None
    assert (heard.what, heard.place) == ("a b [2J", "c d")


def test_nonsense_of_times_is_bounded():
    report = Report(kind=FINDING_KIND_PLAN)
    report.age.seconds = 2**62
    report.duration.seconds = -5
    heard = from_report(report, 2e9)
    assert heard is not None
    assert (heard.times, heard.seconds) == (1, 0.0)
    assert heard.last == 2e9 - 366 * 86400


def test_the_same_again_has_the_figures_of_the_latest():
    earlier, later = replace(FOUND, count=5, last=1.0), replace(FOUND, count=7, last=2.0)
    for both in (together(earlier, later), together(later, earlier)):
        assert (both.count, both.times, both.last) == (7, 6, 2.0)
    assert together(None, earlier) is earlier
