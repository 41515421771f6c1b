"""What is observed: the parts of a running service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tenantpool.insight.finding import Counts, Finding
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Guard
from tenantpool.service.meter import Meter
from tenantpool.service.overriding import Overriding
from tenantpool.service.reload import Reloader

from .alerts.watch import Alerts


class Findings(Protocol):
    """What statements and leases told, as ``Insight`` keeps it."""

    def findings(self, tenant: str | None = None) -> Sequence[Finding]:
        """Of one *tenant* or of all, the latest first. Does not block."""

    def counts(self) -> Mapping[str, Counts]:
        """How much was found, by tenant. Does not block."""


@dataclass(frozen=True, slots=True)
class Source:
    """A running service, as the dashboard and the metrics see it."""

    manager: AsyncManager
    desk: Desk
    guard: Guard
    meter: Meter
    reloader: Reloader
    overriding: Overriding
    alerts: Alerts
    findings: Findings
    """What query insight found."""
