"""What is observed: the parts of a running service."""

from __future__ import annotations

from dataclasses import dataclass

from tenantpool.manager._async.manager import AsyncManager
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Guard
from tenantpool.service.meter import Meter
from tenantpool.service.reload import Reloader

from .alerts.watch import Alerts


@dataclass(frozen=True, slots=True)
class Source:
    """A running service, as the dashboard and the metrics see it."""

    manager: AsyncManager
    desk: Desk
    guard: Guard
    meter: Meter
    reloader: Reloader
    alerts: Alerts
