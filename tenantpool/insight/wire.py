"""Findings, as a worker reports them to the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration

from tenantpool.insight.finding import Finding, Kind
from tenantpool.v1.session_pb2 import (
    FINDING_KIND_IDLE_IN_TRANSACTION,
    FINDING_KIND_LONG_LEASE,
    FINDING_KIND_PLAN,
    FINDING_KIND_REPEATED_STATEMENT,
    FINDING_KIND_SLOW_STATEMENT,
    FindingKind,
)
from tenantpool.v1.session_pb2 import Finding as Report

LONGEST = 400
"""Characters of each text."""

_TO_KIND: Mapping[Kind, FindingKind] = {
    "slow statement": FINDING_KIND_SLOW_STATEMENT,
    "repeated statement": FINDING_KIND_REPEATED_STATEMENT,
    "plan": FINDING_KIND_PLAN,
    "long lease": FINDING_KIND_LONG_LEASE,
    "idle in transaction": FINDING_KIND_IDLE_IN_TRANSACTION,
}
_FROM_KIND = {number: kind for kind, number in _TO_KIND.items()}
_MOST = 2**32 - 1
_LONG_AGO = 366 * 86400.0
"""Seconds; nothing is said to have lasted longer."""


def to_report(finding: Finding, now: float) -> Report:
    """What is said of *finding* at *now*, as time.time() has it."""
    return Report(
        kind=_TO_KIND[finding.kind],
        tenant=finding.tenant,
        what=_cut(finding.what),
        fix=_cut(finding.fix),
        statement=_cut(finding.statement),
        place=_cut(finding.place),
        duration=_duration(finding.seconds),
        count=min(finding.count, _MOST),
        times=min(finding.times, _MOST),
        age=_duration(now - finding.last),
    )


def from_report(report: Report, now: float) -> Finding | None:
    """What a worker says at *now*; None if it is of a kind that is not known here.

    Texts are cut, and cannot break the line of a log or a terminal.
    """
    kind = _FROM_KIND.get(report.kind)
    if kind is None:
        return None
    return Finding(
        kind,
        report.tenant,
        _clean(report.what),
        _clean(report.fix),
        _clean(report.statement),
        _clean(report.place),
        _seconds(report.duration),
        report.count,
        max(1, report.times),
        now - _seconds(report.age),
    )


def together(before: Finding | None, finding: Finding) -> Finding:
    """Both as one, with the figures of the latest."""
    if before is None:
        return finding
    latest = max(before, finding, key=lambda one: one.last)
    return replace(latest, times=before.times + finding.times)


def _duration(seconds: float) -> Duration:
    nanos = round(min(max(0.0, seconds), _LONG_AGO) * 1e9)
    return Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)


def _seconds(duration: Duration) -> float:
    return min(max(0.0, duration.seconds + duration.nanos / 1e9), _LONG_AGO)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _clean(text: str) -> str:
    text = _cut(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
