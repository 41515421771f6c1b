"""What is going on, read from the cores: in the same time whatever the tenants that are idle."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from itertools import islice
from time import monotonic, time
from typing import NamedTuple, TypeVar

from tenantpool.core.database import Database
from tenantpool.core.tenant import Tenant
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager.stats import DatabaseStats, database_stats

T = TypeVar("T")

_SLICE = 500
"""Tenants that are looked at before others may go on: about half a millisecond."""


class Load(NamedTuple):
    """A tenant that holds, expects or waits."""

    name: str
    tier: str
    database: str
    in_use: int
    pending: int
    waiting: int
    cap: int
    oldest: float
    """Seconds for which the first in its queue has waited; 0.0: nobody waits."""
    breaker: str

    @property
    def share(self) -> float:
        """How much of its cap it uses, 0.0 to 1.0; more with overflow."""
        return self.in_use / self.cap


@dataclass(frozen=True, slots=True)
class Reading:
    """All databases at one moment, and their busiest tenants."""

    at: float
    """Seconds since the epoch."""
    databases: Mapping[str, DatabaseStats]
    loads: Mapping[str, Sequence[Load]]
    """Of each database, the busiest tenants first: as many as were asked for."""
    busy: Mapping[str, int]
    """How many tenants of each database hold, expect or wait."""
    waiting: Mapping[tuple[str, str], int]
    """Requests that wait, by database and tier."""
    in_use: Mapping[tuple[str, str], int]
    """Connections in use, by database and tier."""

    def busiest(self, most: int) -> list[Load]:
        """The busiest tenants of all databases."""
        every = (load for loads in self.loads.values() for load in loads)
        return nlargest(most, every, key=business)


def business(load: Load) -> tuple[int, int]:
    """What tenants are ordered by: in use and waiting, then waiting."""
    return load.in_use + load.waiting, load.waiting


async def read(manager: AsyncManager, most: int | None) -> Reading:
    """Read all databases, and *most* tenants of each (None: all that are busy).

    Lets others go on after each half a millisecond, so the sums of tiers may be that much newer
    than those of their database.
    """
    databases: dict[str, DatabaseStats] = {}
    loads: dict[str, Sequence[Load]] = {}
    busy: dict[str, int] = {}
    waiting: Counter[tuple[str, str]] = Counter()
    in_use: Counter[tuple[str, str]] = Counter()
    for name, shell in manager.shells.items():
        core = shell.core
        databases[name] = database_stats(core)
        tenants = list(core.busy())
        busy[name] = len(tenants)
        for some in _slices(tenants):
            for tenant in some:
                key = (name, tenant.limits.tier)
                in_use[key] += tenant.in_use
                waiting[key] += len(tenant.queue)
            await asyncio.sleep(0)
        loads[name] = await _busiest(core, tenants, most)
    return Reading(time(), databases, loads, busy, waiting, in_use)


async def _busiest(core: Database, tenants: Sequence[Tenant], most: int | None) -> list[Load]:
    if most is None:
        now = monotonic()
        return [load_of(core, tenant, now) for tenant in tenants]
    best: list[Tenant] = []
    for some in _slices(tenants):
        best = nlargest(most, best + some, key=_business)
        await asyncio.sleep(0)
    now = monotonic()  # not before others went on, who may wait since then
    return [load_of(core, tenant, now) for tenant in best]


def _business(tenant: Tenant) -> tuple[int, int]:
    waiting = len(tenant.queue)
    return tenant.in_use + waiting, waiting


def load_of(core: Database, tenant: Tenant, now: float) -> Load:
    """How busy *tenant* is at *now* (as ``time.monotonic`` has it)."""
    head = tenant.queue.best()
    return Load(
        tenant.name,
        tenant.limits.tier,
        core.name,
        tenant.in_use,
        tenant.pending,
        len(tenant.queue),
        tenant.limits.cap,
        max(0.0, now - head.since) if head is not None else 0.0,
        tenant.pool.breaker.state,
    )


def _slices(items: Sequence[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _SLICE)):
        yield some
