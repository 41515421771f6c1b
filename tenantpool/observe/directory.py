"""Finding tenants among ten thousand: search, order, pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from time import monotonic
from typing import Final, TypeAlias

from tenantpool.core.breaker import CLOSED
from tenantpool.core.tenant import Tenant

from .look import Look

PAGE = 50
_SLICE = 1000

Key: TypeAlias = Callable[[Tenant, float], float]


def _wait(tenant: Tenant, now: float) -> float:
    head = tenant.queue.best()
    return now - head.since if head is not None else 0.0


def _mean_wait(tenant: Tenant, now: float) -> float:
    counters = tenant.counters
    return counters.waits.total / counters.leases if counters.leases else 0.0


ORDERS: Final[dict[str, Key]] = {
    "load": lambda tenant, now: tenant.in_use + len(tenant.queue),
    "use": lambda tenant, now: tenant.in_use / tenant.limits.cap,
    "waiting": lambda tenant, now: len(tenant.queue) + _wait(tenant, now) / 1e6,
    "wait": _mean_wait,
    "leases": lambda tenant, now: tenant.counters.leases,
    "refused": lambda tenant, now: tenant.counters.refused.total(),
}
"""What tenants can be ordered by besides their names, the largest first."""

SHOWN: Final[dict[str, Callable[[Tenant], bool]]] = {
    "busy": lambda tenant: not tenant.is_idle,
    "waiting": lambda tenant: bool(tenant.queue),
    "full": lambda tenant: tenant.in_use >= tenant.limits.cap,
    "breaker": lambda tenant: tenant.pool.breaker.state != CLOSED,
    "draining": lambda tenant: tenant.draining,
    "suspended": lambda tenant: bool(tenant.suspended),
}
"""Which tenants can be asked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for."""

    text: str = ""
    order: str = "load"
    shown: str = ""
    tier: str = ""
    page: int = 1


@dataclass(frozen=True, slots=True)
class Found:
    """One page of it."""

    names: Sequence[str]
    total: int
    page: int
    pages: int


async def find(look: Look, wanted: Wanted) -> Found:
    """The tenants of that page, known to the cores or only configured.

    Lets others go on after each thousand.
    """
    known = {name: tenant for core in look.cores for name, tenant in core.tenants.items()}
    matching = await _matching(look, known, wanted)
    pages = max(1, -(-len(matching) // PAGE))
    page = min(max(1, wanted.page), pages)
    best = await _first(known, matching, wanted.order, page * PAGE)
    return Found(best[(page - 1) * PAGE :], len(matching), page, pages)


async def _matching(look: Look, known: dict[str, Tenant], wanted: Wanted) -> list[str]:
    settings = look.source.manager.settings
    test = SHOWN.get(wanted.shown)
    names = list(known if test is not None else {**known, **settings.tenants})
    text = wanted.text.casefold()
    found: list[str] = []
    for start in range(0, len(names), _SLICE):
        some = names[start : start + _SLICE]
        if text:
            some = [name for name in some if text in name.casefold()]
        if test is not None:
            some = [name for name in some if test(known[name])]
        if wanted.tier:
            some = [name for name in some if _tier(look, known, name) == wanted.tier]
        found += some
        await asyncio.sleep(0)
    return found


def _tier(look: Look, known: dict[str, Tenant], name: str) -> str:
    if name in known:
        return known[name].limits.tier
    settings = look.source.manager.settings
    return settings.tenants[name].tier or settings.default_tier


async def _first(
    known: dict[str, Tenant], names: Sequence[str], order: str, count: int
) -> list[str]:
    key = ORDERS.get(order)
    now = monotonic()
    best: list[tuple[float, str]] = []
    for start in range(0, len(names), _SLICE):
        some = names[start : start + _SLICE]
        if key is None:
            keyed = [(0.0, name) for name in some]
        else:
            keyed = [(-key(known[name], now) if name in known else 1.0, name) for name in some]
        best = nsmallest(count, best + keyed)
        await asyncio.sleep(0)
    return [name for _, name in best]
