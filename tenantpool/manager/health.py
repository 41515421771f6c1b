"""How tenants and databases do, in words an operator can act on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tenantpool.errors import Reason
from tenantpool.manager.stats import DatabaseStats, ManagerStats, TenantStats

_WARNING_WAIT = 0.1
_CRITICAL_WAIT = 1.0
_WARNING_REFUSALS = 0.01
_CRITICAL_REFUSALS = 0.1
_NEARLY_FULL = 0.9


class Status(StrEnum):
    """From fine to bad; the mean wait decides: below 0.1 s, below 1 s, or more."""

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A status, and what speaks for it, with the setting that would change it."""

    status: Status
    why: str


@dataclass(frozen=True, slots=True)
class Health:
    """Verdicts on every database, and on every tenant that has been asked for."""

    databases: Mapping[str, Verdict]
    tenants: Mapping[str, Verdict]

    @property
    def status(self) -> Status:
        """The worst status of any database: one tenant's trouble is not everybody's."""
        found = [verdict.status for verdict in self.databases.values()]
        return next((s for s in (Status.CRITICAL, Status.WARNING) if s in found), Status.HEALTHY)


def assess(stats: ManagerStats) -> Health:
    """Judge a snapshot."""
    return Health(
        {name: _judge_database(database) for name, database in stats.databases.items()},
        {name: _judge_tenant(tenant) for name, tenant in stats.tenants.items()},
    )


def _judge_database(database: DatabaseStats) -> Verdict:
    if database.breaker != "closed":
        return Verdict(Status.CRITICAL, f"connects fail, the breaker is {database.breaker}")
    if database.waiting and database.used >= database.capacity:
        return Verdict(
            Status.WARNING,
            f"all {database.capacity} slots are used and {database.waiting} requests wait:"
            " raise capacity, or lower the caps",
        )
    if database.used >= _NEARLY_FULL * database.capacity:
        return Verdict(Status.HEALTHY, f"{database.used} of {database.capacity} slots are used")
    return Verdict(Status.HEALTHY, "there is room")


def _judge_tenant(tenant: TenantStats) -> Verdict:
    if tenant.breaker != "closed":
        return Verdict(Status.CRITICAL, f"connects fail, the breaker is {tenant.breaker}")
    refusals = sum(tenant.refused.values()) / max(1, tenant.requests)
    wait = tenant.wait_mean
    if wait >= _CRITICAL_WAIT or refusals >= _CRITICAL_REFUSALS:
        return Verdict(Status.CRITICAL, _advice(tenant, refusals))
    if wait >= _WARNING_WAIT or refusals >= _WARNING_REFUSALS:
        return Verdict(Status.WARNING, _advice(tenant, refusals))
    return Verdict(Status.HEALTHY, f"mean wait {wait:.3f} s")


def _advice(tenant: TenantStats, refusals: float) -> str:
    """What was seen, and the setting that answers the commonest refusal."""
    found = f"mean wait {tenant.wait_mean:.3f} s, {refusals:.1%} refused"
    commonest = max(tenant.refused, key=lambda reason: tenant.refused[reason], default="")
    remedies: dict[str, str] = {
        Reason.RATE_LIMIT: f"raise rate of tier {tenant.tier}",
        Reason.QUEUE_FULL: f"raise cap or max_waiting of tier {tenant.tier}",
        Reason.TENANT_LIMIT: f"raise cap {tenant.cap} of tier {tenant.tier}",
        Reason.DATABASE_LIMIT: f"raise capacity of database {tenant.database}",
        Reason.CONNECT_FAILED: f"see why {tenant.pool} refuses connections",
        Reason.BREAKER_OPEN: f"see why {tenant.pool} refuses connections",
        Reason.CONNECT_TIMEOUT: f"raise connect_concurrency of database {tenant.database}",
    }
    full = tenant.in_use >= tenant.cap
    default = remedies[Reason.TENANT_LIMIT if full else Reason.DATABASE_LIMIT]
    return f"{found}: {remedies.get(commonest, default)}"
