"""The limits that the core enforces: plain values, made by ``config`` and read by the core.

Durations are seconds, rates are per second. Instances are shared between all tenants of a tier.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from .autoscale import AutoscaleLimits

RETURN: Final = "return"
RECALL: Final = "recall"
TERMINATE: Final = "terminate"
STEPS: Final = (RETURN, RECALL, TERMINATE)
"""How far a shrink may go: wait for what comes back, ask for it, end it; each includes the last."""

CAP: Final = "cap"
MAX_WAITING: Final = "max_waiting"
RATE: Final = "rate"
MAX_LEASE: Final = "max_lease"
"""The limits that can be on trial."""

NO_LIMIT: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a circuit breaker opens and how long it stays open.

    It opens on ``failures`` connect failures in a row, or when of the last ``window`` connects
    at least ``failure_rate`` (0 to 1) failed. It stays open for ``backoff`` seconds, doubling
    with every probe that fails, up to ``backoff_max``.
    """

    failures: int = 3
    window: int = 20
    failure_rate: float = 0.5
    backoff: float = 1.0
    backoff_max: float = 30.0

    @classmethod
    def strictest(cls, several: Collection[BreakerLimits]) -> BreakerLimits:
        """What opens as soon as the first of them would, and stays open for as long as the last."""
        return cls(
            min(limits.failures for limits in several),
            min(limits.window for limits in several),
            min(limits.failure_rate for limits in several),
            max(limits.backoff for limits in several),
            max(limits.backoff_max for limits in several),
        )


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """What a tenant gets: the values of its tier."""

    tier: str
    cap: int
    """Most connections in use at a time, without the overflow."""
    min_size: int = 0
    """Connections kept open while the pool lives, as far as the capacity has room."""
    guarantee: int = 0
    """Connections the tenant can always get back, before anybody's weight counts."""
    weight: float = 1.0
    """Its share when there is not enough for all."""
    overflow: int = 0
    """Connections above ``cap``, lent only while nobody waits who is below a cap of its own."""
    overflow_idle: float = 5.0
    """How long a connection above ``cap`` may lie idle."""
    max_waiting: int = 100
    """Most requests that may wait; further ones are refused at once."""
    acquire_timeout: float = 30.0
    """How long a request waits when its caller does not say."""
    rate: float | None = None
    """Most leases per second, on average; None: no limit."""
    burst: int = 1
    """Most leases at once under ``rate``."""
    max_lease: float | None = None
    """Longest lease; then it is revoked and its session ends. None: no limit."""
    max_idle: float = 600.0
    """How long a connection above ``min_size`` may lie idle."""
    pool_idle: float = 1800.0
    """How long a pool may lie idle before it is closed and forgotten."""
    max_lifetime: float = 3600.0
    """How long a connection may live; each up to 5 % less, so that they do not end together."""
    leak_after: float | None = None
    """A lease held for longer is reported as a leak: who took it, where, since when."""
    leak_revoke: bool = False
    """Whether a reported leak is also revoked."""
    reset_always: bool = False
    """Wipe the session at every return, not only before another tenant gets the connection."""
    breaker: BreakerLimits = field(default_factory=BreakerLimits)
    """The breaker of the tenant's pool."""
    shrink: str = RECALL
    """How far it may go when a limit is lowered below what is in use: one of ``STEPS``."""
    shrink_grace: float = 30.0
    """How long holders have to give back what they are asked for."""
    trial: frozenset[str] = frozenset()
    """Limits that only count what they would have refused, and refuse nothing."""
    autoscale: AutoscaleLimits | None = None
    """How ``cap`` follows what is used; None: it stays. The manager asks ``autoscale.py``."""

    @property
    def ceiling(self) -> int:
        """Most connections in use at a time, overflow included."""
        return self.cap + self.overflow

    @property
    def enforced_cap(self) -> int:
        """``cap``, or no limit at all while that is on trial."""
        return NO_LIMIT if CAP in self.trial else self.cap

    @property
    def enforced_ceiling(self) -> int:
        """``ceiling``, or no limit at all while the cap is on trial."""
        return NO_LIMIT if CAP in self.trial else self.cap + self.overflow

    @property
    def enforced_max_lease(self) -> float | None:
        """``max_lease``, or None while that is on trial."""
        return None if MAX_LEASE in self.trial else self.max_lease


@dataclass(frozen=True, slots=True)
class DatabaseLimits:
    """What a database server gives."""

    capacity: int
    """Connections tenantpool may hold on it, all tenants together, idle ones included."""
    connect_concurrency: int = 4
    """Connects under way at a time."""
    min_connection_age: float = 0.0
    """A younger idle connection is not evicted for another pool (guarantees excepted)."""
    quantum_factor: float = 50.0
    """How many mean connect times a contended slot stays with its pool."""
    quantum_max: float = 1.0
    """Longest quantum."""
    check_after: float = 0.5
    """A connection idle for longer is tested before it is lent."""
    breaker: BreakerLimits = field(
        default_factory=lambda: BreakerLimits(failures=5, backoff=0.1, backoff_max=1.0)
    )
    """The breaker of the whole database; its probes are cheap, so it looks again soon."""
