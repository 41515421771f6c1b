"""What each page shows, as plain values for its template."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple, TypeAlias

from tenantpool.config import effective_yaml
from tenantpool.errors import UnknownTenant
from tenantpool.manager.health import Verdict, assess
from tenantpool.manager.stats import ManagerStats, tenant_stats

from .access import Visitor
from .bars import pieces
from .directory import ORDERS, SHOWN, Wanted, find
from .leases import page_of, row_of
from .look import Look
from .metrics import shut_pools
from .pulse import ALL
from .reading import Load, Reading, load_of
from .words import summary

Query: TypeAlias = Mapping[str, str]
Values: TypeAlias = dict[str, Any]
Make: TypeAlias = Callable[[Look, Visitor, Query, str], Awaitable[Values]]

_BUSIEST = 12
_TROUBLED = 6
_CELLS = 240
_SLOW = 0.1
"""Seconds that the first in a tenant's queue waits before the overview speaks of it."""
_MOST_TENANTS = 200
"""In the configuration that is shown."""


class View(NamedTuple):
    """A page: its template, what it is called, and where its values come from."""

    template: str
    title: str
    make: Make
    of: str = ""
    """The name of whom it is about."""
    pulse: str | None = None
    """Whose signals it charts."""
    is_live: bool = True
    """Whether it changes while somebody looks."""


def view_of(path: str) -> View | None:
    """The page at *path*; None: there is none."""
    match path.strip("/").split("/", 1):
        case [""]:
            return View("overview.html", "Overview", _overview, pulse=ALL)
        case ["tenants"]:
            return View("tenants.html", "Tenants", _tenants)
        case ["leases"]:
            return View("leases.html", "Leases", _leases)
        case ["configuration"]:
            return View("configuration.html", "Configuration", _configuration, is_live=False)
        case ["tenants", name]:
            return View("tenant.html", name, _tenant, name)
        case ["databases", name]:
            return View("database.html", name, _database, name, pulse=name)
    return None


# -- overview ----------------------------------------------------------------------------------


async def _overview(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    reading = await look.hub.reading()
    verdicts = assess(ManagerStats(reading.databases, {})).databases
    shut = [name for core in look.cores for name in shut_pools(core)]
    is_open = look.source.desk.is_open
    return {
        "summary": summary(reading, verdicts, shut, is_open=is_open),
        "bars": [_bar_of(look, reading, name) for name in reading.databases],
        "verdicts": verdicts,
        "signals": look.hub.pulse.latest(ALL),
        "busiest": reading.busiest(_BUSIEST),
        "busy": sum(reading.busy.values()),
        "troubled": [(load, _verdict_on(look, load.name)) for load in _troubled(reading)],
        "sessions": len(look.source.desk.sessions.workers),
    }


def _troubled(reading: Reading) -> list[Load]:
    """Tenants that somebody should look at, the worst first."""
    every = [load for loads in reading.loads.values() for load in loads]
    bad = [load for load in every if load.oldest >= _SLOW or load.breaker != "closed"]
    return sorted(bad, key=lambda load: (load.breaker == "closed", -load.oldest))[:_TROUBLED]


def _verdict_on(look: Look, name: str) -> Verdict | None:
    seat = look.seat(name)
    if seat is None:
        return None
    stats = tenant_stats(seat[0].core, seat[1])
    return assess(ManagerStats({}, {name: stats})).tenants[name]


def _bar_of(look: Look, reading: Reading, name: str) -> Values:
    stats = reading.databases[name]
    in_use = {tier: reading.in_use.get((name, tier), 0) for tier in look.tiers}
    waiting = {tier: reading.waiting.get((name, tier), 0) for tier in look.tiers}
    return {
        "stats": stats,
        "pieces": pieces(stats, reading.loads[name], in_use, look.tiers),
        "in_use": in_use,
        "waiting": waiting,
    }


# -- tenants -----------------------------------------------------------------------------------


async def _tenants(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    reading = await look.hub.reading()
    wanted = Wanted(
        query.get("q", ""),
        query.get("sort", "load"),
        query.get("show", ""),
        query.get("tier", ""),
        _whole(query.get("page", "")),
    )
    found = await find(look, wanted)
    rows = [_tenant_row(look, name) for name in found.names]
    await asyncio.sleep(0)
    return {
        "wanted": wanted,
        "found": found,
        "rows": rows,
        "cells": reading.busiest(_CELLS),
        "busy": sum(reading.busy.values()),
        "orders": ["name", *ORDERS],
        "shown": list(SHOWN),
    }


def _tenant_row(look: Look, name: str) -> Values:
    seat = look.seat(name)
    if seat is None:
        spec = look.source.manager.settings.tenant(name)
        return {"name": name, "tier": spec.limits.tier, "cap": spec.limits.cap, "stats": None}
    shell, tenant = seat
    stats = tenant_stats(shell.core, tenant)
    return {
        "name": name,
        "tier": stats.tier,
        "cap": stats.cap,
        "stats": stats,
        "load": load_of(shell.core, tenant, monotonic()),
        "verdict": assess(ManagerStats({}, {name: stats})).tenants[name],
    }


async def _tenant(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    spec = look.source.manager.settings.tenant(of)
    values = _tenant_row(look, of) | {"spec": spec, "limits": spec.limits}
    seat = look.seat(of)
    if seat is None:
        return values | {"leases": [], "waiters": []}
    tenant, now = seat[1], monotonic()
    waiters = sorted(tenant.queue, key=lambda request: request.since)
    loans = [loan for loan in look.source.desk.loans.values() if loan.tenant is tenant]
    return values | {
        "limits": tenant.limits,
        "leases": [row_of(loan) for loan in sorted(loans, key=lambda loan: -loan.held)],
        "waiters": [(request.holder, request.priority, now - request.since) for request in waiters],
        "breaker": tenant.pool.breaker,
        "retry_in": max(0.0, tenant.pool.breaker.retry_at - now),
    }


# -- the others --------------------------------------------------------------------------------


async def _database(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    shell = look.source.manager.shells.get(of)
    if shell is None:
        raise UnknownTenant(of, "there is no database of that name")
    reading = await look.hub.reading()
    activity = await look.watcher.look(shell)
    return {
        "bar": _bar_of(look, reading, of),
        "stats": reading.databases[of],
        "verdict": assess(ManagerStats(reading.databases, {})).databases[of],
        "signals": look.hub.pulse.latest(of),
        "busiest": reading.loads[of][:_BUSIEST],
        "activity": activity,
        "evictions": shell.core.evictions,
        "connect_failures": shell.core.connect_failures,
        "shut": shut_pools(shell.core)[:_BUSIEST],
        "error": shell.core.breaker.error,
    }


async def _leases(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    text = query.get("q", "")
    loans = look.source.desk.loans.values()
    return {"text": text, "found": page_of(loans, text, _whole(query.get("page", "")))}


async def _configuration(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    settings = look.source.manager.settings
    return {
        "yaml": await asyncio.to_thread(effective_yaml, settings, _MOST_TENANTS),
        "hidden": max(0, len(settings.tenants) - _MOST_TENANTS),
        "reloads": list(look.source.reloads.last),
    }


def _whole(text: str) -> int:
    """The number of a page; 1 for whatever is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
