"""What query insight has found, in the workers and in the manager of the service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from time import monotonic, time

from tenantpool.errors import UnknownTenant
from tenantpool.insight.finding import Counts, Finding
from tenantpool.insight.ledger import Ledger
from tenantpool.insight.options import Options
from tenantpool.insight.wire import from_report
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.v1.session_pb2 import Finding as Report

from .worker import Worker

_MOST = 2048
_MOST_TENANTS = 10_000
_LARGEST = 16_384


class Findings(Ledger):
    """What workers report, together with what the manager finds by itself.

    It is read as an Insight is. ``dropped`` counts what was not kept: of tenants that the worker
    may not lease or that are not known, of a kind that is not, or too much at a time.
    """

    def __init__(self, manager: AsyncManager) -> None:
        super().__init__(_MOST, _MOST_TENANTS, Options().log_interval)
        self._manager = manager
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._summary()}, {self.dropped} dropped>"

    def findings(self, tenant: str | None = None) -> list[Finding]:
        """What was found, of one *tenant* or of all, the latest first. Does not block."""
        found, insight = super().findings(tenant), self._manager.insight
        if insight is not None:
            found += insight.findings(tenant)
        return sorted(found, key=lambda finding: -finding.last)

    def counts(self) -> Mapping[str, Counts]:
        """How much was found, by tenant: those of the latest findings. Does not block."""
        counts, insight = dict(super().counts()), self._manager.insight
        if insight is not None:
            for tenant, own in insight.counts().items():
                counts[tenant] = counts[tenant] + own if tenant in counts else own
        return counts

    def hear(self, worker: Worker, reports: Iterable[Report]) -> None:
        """Keep what *worker* reports, as far as it may. Does not block."""
        now, wall = monotonic(), time()
        for report in reports:
            is_taken = worker.reports.take(now) == 0.0 and self._may_say(worker, report.tenant)
            finding = from_report(report, wall) if is_taken else None
            if finding is not None:
                self.note(replace(finding, worker=worker.name))
            else:
                self.dropped += 1

    def _may_say(self, worker: Worker, tenant: str) -> bool:
        if worker.barred or not worker.identity.may_lease(tenant):
            return False
        try:
            self._manager.roster.tenant(tenant)
        except UnknownTenant:
            return False
        return True


def largest(max_request_size: int) -> int:
    """How many bytes of findings a heartbeat may carry, where requests are limited to so many."""
    return min(_LARGEST, max_request_size // 2)
