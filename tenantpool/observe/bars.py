"""A database's capacity as a bar: what each tenant has, what lies idle, what is free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from tenantpool.manager.stats import DatabaseStats

from .figures import plural
from .reading import Load

_MOST = 40
"""Tenants with a piece of their own; the others share one of their tier."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the bar, in connections from its left end."""

    kind: str
    """``tier`` or ``idle``, ``moving``, ``free``."""
    tier: int
    """Which of the tiers, in the order of the configuration; 0 for other kinds."""
    label: str
    start: int
    width: int
    tenant: str = ""
    """Whose it is, if it is one tenant's."""


def pieces(
    stats: DatabaseStats, loads: Sequence[Load], in_use: dict[str, int], tiers: Sequence[str]
) -> list[Piece]:
    """The bar of a database; *in_use* by tier, and *loads* the busiest tenants of it."""
    found: list[Piece] = []
    at = 0
    for part in _parts(stats, loads, in_use, tiers):
        if part.width > 0:
            found.append(replace(part, start=at))
            at += part.width
    return found


def _parts(
    stats: DatabaseStats, loads: Sequence[Load], in_use: dict[str, int], tiers: Sequence[str]
) -> Iterator[Piece]:
    """All of them, each as if it were the first."""
    order = {tier: number for number, tier in enumerate(tiers)}
    shown = sorted(
        (load for load in loads[:_MOST] if load.in_use), key=lambda load: order.get(load.tier, 99)
    )
    left = dict(in_use)
    for tier, group in groupby(shown, key=lambda load: load.tier):
        for load in group:
            left[tier] = left.get(tier, 0) - load.in_use
            text = f"{load.name} ({tier}): {plural(load.in_use, 'connection')} in use"
            yield Piece("tier", order.get(tier, 0), text, 0, load.in_use, load.name)
        yield _others(order, tier, left.pop(tier))
    for tier, count in left.items():
        yield _others(order, tier, count)
    yield Piece("idle", 0, f"{stats.idle} idle", 0, stats.idle)
    moving = stats.opening + stats.resetting + stats.closing
    states = f"{stats.opening} opening, {stats.resetting} resetting, {stats.closing} closing"
    yield Piece("moving", 0, states, 0, moving)
    free = stats.capacity - stats.used
    yield Piece("free", 0, f"{free} free", 0, free)


def _others(order: dict[str, int], tier: str, count: int) -> Piece:
    return Piece("tier", order.get(tier, 0), f"other tenants ({tier}): {count} in use", 0, count)
