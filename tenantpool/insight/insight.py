"""Insight: what was found in one process, kept for whoever looks, counted and logged."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from threading import Lock
from time import monotonic, time

from tenantpool.insight.finding import Counts, Finding
from tenantpool.insight.lookout import Lookout
from tenantpool.insight.options import Options
from tenantpool.insight.sampler import Sampler
from tenantpool.insight.watch import Watch
from tenantpool.journal import report


class Insight:
    """What statements and leases tell of one process; ``findings`` shows it.

    A manager makes one when its configuration says so; a LeaseClient is given one. Several may
    share it. It may be used by any number of threads and tasks.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self._sampler = Sampler(self.options.explain_interval)
        self._lock = Lock()
        self._findings: dict[tuple[str, ...], Finding] = {}
        self._logged_at: dict[tuple[str, ...], float] = {}
        self._counts: dict[str, Counts] = {}

    def __repr__(self) -> str:
        times = sum(finding.times for finding in self.findings())
        return (
            f"<Insight: {len(self._findings)} findings ({times} times) of {len(self._counts)} "
            f"tenants, explain {'on' if self.options.explain else 'off'}>"
        )

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

    def watch(self, tenant: str) -> Watch:
        """What looks at one lease of *tenant*. Does not block."""
        return Watch(self.options, tenant, self.note)

    def lookout(self) -> Lookout:
        """What looks at the leases in use of one manager or client. Does not block."""
        return Lookout(self.options, self.note)

    def may_explain(self, shape: str) -> bool:
        """Whether it is the turn of statements of this *shape*; if so, it has been taken."""
        with self._lock:
            return self._sampler.passes(shape, monotonic())

    def note(self, finding: Finding) -> None:
        """Keep, count and log *finding*. Does not block."""
        key, now = finding.key, monotonic()
        with self._lock:
            before = self._findings.pop(key, None)
            times = 1 if before is None else before.times + 1
            finding = replace(finding, times=times, last=time())
            self._findings[key] = finding
            counts = self._counts.pop(finding.tenant, None) or Counts()
            counts.add(finding.kind)
            self._counts[finding.tenant] = counts
            is_news = now - self._logged_at.get(key, -now) >= self.options.log_interval
            if before is None or is_news:
                self._logged_at[key] = now
            self._forget()
        if before is None or is_news:
            _log(finding)

    def _forget(self) -> None:
        """Drop the oldest where there are too many."""
        if len(self._findings) > self.options.findings:
            oldest = next(iter(self._findings))
            del self._findings[oldest]
            self._logged_at.pop(oldest, None)
        if len(self._counts) > self.options.tenants:
            del self._counts[next(iter(self._counts))]

    def _disown(self) -> None:
        """This process is a fork: a thread that is not there any more may have had the lock."""
        self._lock = Lock()


def _log(finding: Finding) -> None:
    fields: dict[str, object] = {"tenant": finding.tenant, "what": finding.what}
    if finding.statement:
        fields["statement"] = finding.statement
    if finding.place:
        fields["place"] = finding.place
    fields |= {"seconds": finding.seconds, "count": finding.count, "times": finding.times}
    report(logging.WARNING, finding.kind, **fields, fix=finding.fix)
