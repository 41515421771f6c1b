"""What the rules look at: the state of a service at one moment, and its sums over the past."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tenantpool.core.breaker import CLOSED
from tenantpool.core.database import Database
from tenantpool.core.slot import CLOSING
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.observe.quantiles import waits_of

_STEP = 15.0
_KEPT = 900.0


@dataclass(frozen=True, slots=True)
class DatabaseSight:
    """One database. ``evictions`` and ``overshoots`` only grow."""

    capacity: int
    in_use: int
    closing: int
    waiting: int
    breaker: str
    error: str
    """What the last failed connect to the server said."""
    shut: Sequence[tuple[str, str]]
    """Pools of tenants that cannot connect, and what the last failed connect of each said."""
    evictions: int
    overshoots: int


@dataclass(frozen=True, slots=True)
class TierSight:
    """The sums of one tier on one database; they only grow."""

    leases: int = 0
    refused: int = 0
    leaks: int = 0
    waits: Sequence[int] = ()
    """Leases by how long they waited, in the buckets of ``core.tally``."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The service at one moment."""

    databases: Mapping[str, DatabaseSight] = field(default_factory=dict)
    tiers: Mapping[tuple[str, str], TierSight] = field(default_factory=dict)
    reload_problem: str = ""
    """Why the last reload was refused; empty: it was not."""


def look(manager: AsyncManager, reload_problem: str) -> Sight:
    """See how the service does; takes longer with more connections, not with more tenants."""
    cores = [shell.core for shell in manager.shells.values()]
    return Sight(
        {core.name: _database(core) for core in cores},
        {
            (core.name, tier): TierSight(
                tally.leases, tally.refused.total(), tally.leaks, waits_of(tally)
            )
            for core in cores
            for tier, tally in core.tallies.items()
        },
        reload_problem,
    )


def _database(core: Database) -> DatabaseSight:
    shut = [pool for pool in core.pools.values() if pool.breaker.state != CLOSED]
    return DatabaseSight(
        capacity=core.limits.capacity,
        in_use=sum(slot.request is not None for slot in core.slots),
        closing=sum(slot.state == CLOSING for slot in core.slots),
        waiting=sum(len(tenant.queue) for tenant in core.busy()),
        breaker=core.breaker.state,
        error=_words(core.breaker.error),
        shut=[(pool.name, _words(pool.breaker.error)) for pool in shut],
        evictions=core.evictions,
        overshoots=core.overshoots,
    )


def _words(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines() if error is not None else []
    return lines[0] if lines else "connects fail"


class Past:
    """What was seen in the last quarter of an hour, a quarter of a minute apart."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, Sight]] = deque()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._seen)} sights>"

    def note(self, now: float, sight: Sight) -> None:
        """Remember it, unless the last one is too young."""
        if not self._seen or now - self._seen[-1][0] >= _STEP:
            self._seen.append((now, sight))
        while len(self._seen) > 1 and now - self._seen[1][0] >= _KEPT:
            self._seen.popleft()

    def before(self, now: float, seconds: float) -> tuple[float, Sight]:
        """When it was at least *seconds* ago, or the first time; and how long ago that was."""
        found = self._seen[0] if self._seen else (now, Sight())
        for at, sight in self._seen:
            if now - at < seconds:
                break
            found = (at, sight)
        return now - found[0], found[1]
