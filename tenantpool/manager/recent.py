"""What each tenant did in the last minutes: counters only grow, so it is a difference of two.

A round looks at every tenant that was active once a minute, some at a time, so that nobody waits
for it; what is kept of each is a handful of numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tenantpool.core.limits import TenantLimits
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason
from tenantpool.manager.scaled import slot_seconds
from tenantpool.manager.stats import Shell
from tenantpool.sizing import by_littles_law

WINDOW = 300.0
"""Seconds that are looked back, at most."""
_ROUND = 60.0
_KEPT = round(WINDOW / _ROUND)
_SLICE = 200
"""Tenants that one sweep looks at: about a millisecond."""
_BURST = 0.95
_NOT_COUNTED = {Reason.DRAINING, Reason.TENANT_SUSPENDED}
"""Refusals that an operator wanted."""


class _Sums(NamedTuple):
    """A tenant's counters at one moment."""

    at: float
    requests: int
    leases: int
    held: float
    waited: float
    leaks: int
    refused: Mapping[Reason, int]


@dataclass(frozen=True, slots=True)
class Recent:
    """One tenant over the last minutes. Times are in seconds."""

    tenant: str
    database: str
    pool: str
    limits: TenantLimits
    seconds: float
    """How long that was."""
    requests: int
    leases: int
    held: float
    """Slot-seconds."""
    waited: float
    """Of all leases together."""
    leaks: int
    refused: Mapping[Reason, int]
    peak: int
    """In use or waiting at a time, except in the busiest twentieth."""
    breaker: str = "closed"
    error: str = ""
    """What the last connect said, if it failed."""

    @property
    def wait_mean(self) -> float:
        """Mean wait of a lease."""
        return self.waited / self.leases if self.leases else 0.0

    @property
    def refusal_rate(self) -> float:
        """The part of the requests that was refused; those that asked before count as now."""
        refused = sum(self.refused.values())
        return refused / max(refused, self.requests) if refused else 0.0

    @property
    def arrivals(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds

    @property
    def hold_mean(self) -> float:
        """Mean time that a connection was held."""
        return self.held / max(1, self.leases)

    @property
    def needed(self) -> float:
        """Connections that all requests would have had in use on average, had none to wait."""
        if not (self.requests and self.held):
            return 0.0
        return by_littles_law(self.arrivals, self.hold_mean)


class Recorder:
    """Keeps what is needed to tell the last minutes of every tenant that was active in them."""

    def __init__(self, shells: Mapping[str, Shell]) -> None:
        self._shells = shells
        self._past: dict[Tenant, deque[_Sums]] = {}
        self._todo: Iterator[tuple[Shell, Tenant]] = iter(())
        self._next_round = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._past)} tenants>"

    def sweep(self, now: float) -> None:
        """Look at some tenants, once a minute at all. Does not block."""
        if now >= self._next_round:
            self._next_round = now + _ROUND
            self._begin(now)
        for _ in range(_SLICE):
            shell, tenant = next(self._todo, (None, None))
            if shell is None or tenant is None:
                return
            with shell.lock:
                sums = _sums(now, tenant)
            self._past.setdefault(tenant, deque(maxlen=_KEPT)).append(sums)

    def _begin(self, now: float) -> None:
        active: list[tuple[Shell, Tenant]] = []
        for shell in list(self._shells.values()):
            with shell.lock:
                active += [(shell, t) for t in shell.core.tenants.values() if _is_active(now, t)]
        kept = {tenant for _, tenant in active}
        self._past = {tenant: past for tenant, past in self._past.items() if tenant in kept}
        self._todo = iter(active)

    def recent(self, now: float) -> Iterator[Recent]:
        """The last minutes of each tenant that was active in them; some 10 µs each."""
        for shell in list(self._shells.values()):
            tenants = shell.core.tenants
            for tenant in list(self._past):
                if tenants.get(tenant.name) is tenant:
                    found = self.of(now, shell, tenant)
                    if found is not None:
                        yield found

    def of(self, now: float, shell: Shell, tenant: Tenant) -> Recent | None:
        """The last minutes of the *tenant* of *shell*; None: it was not active, or is new."""
        past = self._past.get(tenant)
        if past is None or now <= past[0].at:
            return None
        with shell.lock:
            return _recent(now, shell.core.name, tenant, past[0])


def _is_active(now: float, tenant: Tenant) -> bool:
    return now - tenant.last_used < WINDOW or not tenant.is_idle


def _sums(now: float, tenant: Tenant) -> _Sums:
    counters = tenant.counters
    refused = counters.refused
    return _Sums(
        now,
        counters.requests,
        counters.leases,
        slot_seconds(now, tenant),
        counters.waits.total,
        counters.leaks,
        {reason: count for reason, count in refused.items() if reason not in _NOT_COUNTED},
    )


def _recent(now: float, database: str, tenant: Tenant, before: _Sums) -> Recent:
    sums, breaker = _sums(now, tenant), tenant.pool.breaker
    refused = {reason: n - before.refused.get(reason, 0) for reason, n in sums.refused.items()}
    return Recent(
        tenant.name,
        database,
        tenant.pool.name,
        tenant.limits,
        now - before.at,
        sums.requests - before.requests,
        max(0, sums.leases - before.leases),
        max(0.0, sums.held - before.held),
        sums.waited - before.waited,
        sums.leaks - before.leaks,
        {reason: n for reason, n in refused.items() if n},
        tenant.usage.peak(now, _BURST),
        breaker.state,
        str(breaker.error).strip() if breaker.error is not None else "",
    )
