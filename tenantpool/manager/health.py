"""How tenants and databases do, in words an operator can act on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tenantpool.errors import Reason
from tenantpool.manager.advice import Advice, Server, advise
from tenantpool.manager.recent import Recent
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
    figures: str = ""
    """What was measured, without the setting."""


@dataclass(frozen=True, slots=True)
class Health:
    """Verdicts on every database, and on every tenant that has been asked for."""

    databases: Mapping[str, Verdict]
    tenants: Mapping[str, Verdict]
    advice: Sequence[Advice] = ()
    """What to set, from what was measured in the last minutes; empty where all is well."""

    @property
    def status(self) -> Status:
        """The worst status of any database: one tenant's trouble is not everybody's."""
        found = [verdict.status for verdict in self.databases.values()]
        return next((s for s in (Status.CRITICAL, Status.WARNING) if s in found), Status.HEALTHY)


def assess(
    stats: ManagerStats,
    recent: Sequence[Recent] = (),
    servers: Sequence[Server] = (),
    advice: Sequence[Advice] | None = None,
) -> Health:
    """Judge a snapshot; tenants by their last minutes where *recent* has them, else by all time.

    *advice* is that of before, where *recent* is not all of it; None: it is found anew.
    """
    lately = {tenant.tenant: tenant for tenant in recent}
    judged = {name: _Judged.of(tenant, lately.get(name)) for name, tenant in stats.tenants.items()}
    statuses = {name: tenant.status for name, tenant in judged.items()}
    unhappy = frozenset(name for name, status in statuses.items() if status is not Status.HEALTHY)
    advice = advise(servers, recent, unhappy) if advice is None else advice
    remedies = {name: str(what) for what in reversed(advice) for name in what.tenants}
    return Health(
        {name: _judge_database(database) for name, database in stats.databases.items()},
        {name: tenant.verdict(remedies.get(name, "")) for name, tenant in judged.items()},
        advice,
    )


def judge(breaker: str, wait: float, refusals: float) -> Status:
    """How a tenant does, by its breaker, its mean *wait* in seconds and the refused part."""
    if breaker != "closed" or wait >= _CRITICAL_WAIT or refusals >= _CRITICAL_REFUSALS:
        return Status.CRITICAL
    if wait >= _WARNING_WAIT or refusals >= _WARNING_REFUSALS:
        return Status.WARNING
    return Status.HEALTHY


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


@dataclass(frozen=True, slots=True)
class _Judged:
    """What decides about a tenant."""

    stats: TenantStats
    wait: float
    """Mean wait in seconds."""
    refusals: float
    """The part of the requests that was refused."""

    @classmethod
    def of(cls, tenant: TenantStats, recent: Recent | None) -> _Judged:
        if recent is not None:
            return cls(tenant, recent.wait_mean, recent.refusal_rate)
        refusals = sum(tenant.refused.values()) / max(1, tenant.requests)
        return cls(tenant, tenant.wait_mean, refusals)

    @property
    def status(self) -> Status:
        return judge(self.stats.breaker, self.wait, self.refusals)

    def verdict(self, remedy: str) -> Verdict:
        tenant, status = self.stats, self.status
        if tenant.breaker != "closed":
            found = f"connects fail, the breaker is {tenant.breaker}"
            return Verdict(status, found, found)
        if status is Status.HEALTHY:
            found = f"mean wait {self.wait:.3f} s"
            return Verdict(status, found, found)
        found = f"mean wait {self.wait:.3f} s, {self.refusals:.1%} refused"
        remedy = remedy.removeprefix(f"{tenant.name}: ") or _rule_of_thumb(tenant)
        return Verdict(status, f"{found}: {remedy}", found)


def _rule_of_thumb(tenant: TenantStats) -> str:
    """The setting that answers the commonest refusal, as long as nothing better is known."""
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
    return remedies.get(commonest, default)
