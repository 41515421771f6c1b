"""Findings that are kept for whoever looks, counted and logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from time import monotonic, time

from tenantpool.insight.finding import Counts, Finding
from tenantpool.journal import report


class Ledger:
    """Keeps the latest *most* findings, and counts for the *tenants* of the latest ones.

    The same finding is logged once in *log_interval* seconds. It may be used by any number of
    threads and tasks.
    """

    def __init__(self, most: int, tenants: int, log_interval: float) -> None:
        self._most = most
        self._tenants = tenants
        self._log_interval = log_interval
        self._lock = Lock()
        self._findings: dict[tuple[str, ...], Finding] = {}
        self._logged_at: dict[tuple[str, ...], float] = {}
        self._counts: dict[str, Counts] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._summary()}>"

    def findings(self, tenant: str | None = None) -> list[Finding]:
        """What was found, of one *tenant* or of all, the latest first. Does not block."""
        with self._lock:
            found = list(self._findings.values())
        found.reverse()
        return found if tenant is None else [f for f in found if f.tenant == tenant]

    def counts(self) -> Mapping[str, Counts]:
        """How much was found, by tenant: those of the latest findings. Does not block."""
        with self._lock:
            return {tenant: replace(counts) for tenant, counts in self._counts.items()}

    def note(self, finding: Finding) -> None:
        """Keep, count and log *finding*, found ``times`` times more. Does not block."""
        key, now = finding.key, monotonic()
        with self._lock:
            before = self._findings.pop(key, None)
            counts = self._counts.pop(finding.tenant, None) or Counts()
            counts.add(finding.kind, finding.times)
            self._counts[finding.tenant] = counts
            times = finding.times + (before.times if before is not None else 0)
            finding = replace(finding, times=times, last=finding.last or time())
            self._findings[key] = finding
            is_news = now - self._logged_at.get(key, -now) >= self._log_interval
            if before is None or is_news:
                self._logged_at[key] = now
            self._forget()
        if before is None or is_news:
            _log(finding)

    def _summary(self) -> str:
        found = self.findings()
        times = sum(finding.times for finding in found)
        return f"{len(found)} findings ({times} times) of {len(self.counts())} tenants"

    def _forget(self) -> None:
        """Drop the oldest where there are too many."""
        if len(self._findings) > self._most:
            oldest = next(iter(self._findings))
            del self._findings[oldest]
            self._logged_at.pop(oldest, None)
        if len(self._counts) > self._tenants:
            del self._counts[next(iter(self._counts))]

    def _disown(self) -> None:
        """This process is a fork: a thread that is not there any more may have had the lock."""
        self._lock = Lock()


def _log(finding: Finding) -> None:
    fields: dict[str, object] = {"tenant": finding.tenant, "what": finding.what}
    for name in ("statement", "place", "worker"):
        if text := getattr(finding, name):
            fields[name] = text
    fields |= {"seconds": finding.seconds, "count": finding.count, "times": finding.times}
    report(logging.WARNING, finding.kind, **fields, fix=finding.fix)
