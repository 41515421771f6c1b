"""Snapshots of what a manager has counted and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from tenantpool.core.database import Database
from tenantpool.core.slot import CLOSING, IDLE, IN_USE, OPENING, RESETTING
from tenantpool.core.tenant import Tenant
from tenantpool.manager.scaled import slot_seconds


class Shell(Protocol):
    """What a snapshot needs of a shell."""

    core: Database

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held around every step of the core."""


@dataclass(frozen=True, slots=True)
class TenantStats:
    """One tenant. Counts are since it was first asked for, or last forgotten; times are seconds."""

    name: str
    tier: str
    database: str
    pool: str
    pool_size: int
    """Connections of its pool, those of other tenants in it included."""
    pool_idle: int
    cap: int
    in_use: int
    pending: int
    waiting: int
    requests: int
    leases: int
    refused: Mapping[str, int]
    waited: int
    """Leases that had to wait."""
    wait_mean: float
    wait_p50: float
    wait_p99: float
    wait_longest: float
    held: float
    """Slot-seconds of leases that have ended and of those in use."""
    connect_failures: int
    lost: int
    leaks: int
    revoked: int
    breaker: str
    draining: bool


@dataclass(frozen=True, slots=True)
class DatabaseStats:
    """One database. ``used`` counts every slot, whatever its state, and never exceeds capacity."""

    name: str
    capacity: int
    used: int
    opening: int
    idle: int
    in_use: int
    resetting: int
    closing: int
    waiting: int
    pools: int
    connect_time: float
    """Running mean of the seconds that a connect takes."""
    opened: int
    """Connections opened since the start."""
    breaker: str


@dataclass(frozen=True, slots=True)
class ManagerStats:
    """Everything, by name."""

    databases: Mapping[str, DatabaseStats]
    tenants: Mapping[str, TenantStats]

    @property
    def leases(self) -> int:
        """Leases granted, over all tenants."""
        return sum(tenant.leases for tenant in self.tenants.values())


def snapshot(shells: Mapping[str, Shell]) -> ManagerStats:
    """The state of all databases, each taken at one moment."""
    databases: dict[str, DatabaseStats] = {}
    tenants: dict[str, TenantStats] = {}
    for name, shell in shells.items():
        with shell.lock:
            databases[name] = database_stats(shell.core)
            tenants |= {t.name: tenant_stats(shell.core, t) for t in shell.core.tenants.values()}
    return ManagerStats(databases, tenants)


def database_stats(core: Database) -> DatabaseStats:
    """The state of one database; the more slots, the longer it takes, whatever the tenants.

    To be called with the shell's lock.
    """
    states = [slot.state for slot in core.slots]
    return DatabaseStats(
        name=core.name,
        capacity=core.limits.capacity,
        used=core.used,
        opening=states.count(OPENING),
        idle=states.count(IDLE),
        in_use=states.count(IN_USE),
        resetting=states.count(RESETTING),
        closing=states.count(CLOSING),
        waiting=sum(len(tenant.queue) for tenant in core.busy()),
        pools=len(core.pools),
        connect_time=core.connect_time,
        opened=core.opens,
        breaker=core.breaker.state,
    )


def tenant_stats(core: Database, tenant: Tenant) -> TenantStats:
    """The state of one tenant. To be called with the shell's lock."""
    counters = tenant.counters
    leases, waits = counters.leases, counters.waits
    return TenantStats(
        name=tenant.name,
        tier=tenant.limits.tier,
        database=core.name,
        pool=tenant.pool.name,
        pool_size=tenant.pool.live,
        pool_idle=len(tenant.pool.idle),
        cap=tenant.limits.cap,
        in_use=tenant.in_use,
        pending=tenant.pending,
        waiting=len(tenant.queue),
        requests=counters.requests,
        leases=leases,
        refused={reason.value: count for reason, count in counters.refused.items()},
        waited=waits.count,
        wait_mean=waits.total / leases if leases else 0.0,
        wait_p50=waits.quantile(0.5, leases),
        wait_p99=waits.quantile(0.99, leases),
        wait_longest=waits.longest,
        held=slot_seconds(monotonic(), tenant),
        connect_failures=counters.connect_failures,
        lost=counters.lost,
        leaks=counters.leaks,
        revoked=counters.revoked,
        breaker=tenant.pool.breaker.state,
        draining=tenant.draining,
    )
