"""What each page shows, as plain values for its template."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import time
from typing import NamedTuple, TypeAlias

from tenantpool.config import effective_yaml
from tenantpool.errors import UnknownTenant
from tenantpool.manager.health import assess
from tenantpool.manager.stats import ManagerStats
from tenantpool.service.reload import CALL, END_OF_OVERRIDE, FILE

from .access import Visitor
from .alerts.board import RESOLVED
from .bars import pieces
from .directory import ORDERS, SHOWN, Wanted, find
from .families import shut_pools
from .gathered import WORDS, gathered, matching
from .leases import page_of
from .look import Look, Query, Values
from .pulse import ALL
from .reading import Load, Reading
from .tenant_page import override_row, tenant_page, tenant_row, why_of
from .words import summary

Make: TypeAlias = Callable[[Look, Visitor, Query, str], Awaitable[Values]]

_BUSIEST = 12
_TROUBLED = 6
_CELLS = 240
_ROWS = 10
"""Rows that are made before others may go on: about half a millisecond."""
_SLOW = 0.1
"""Seconds that the first in a tenant's queue waits before the overview speaks of it."""
_MOST_TENANTS = 200
"""In the configuration that is shown."""
_MOST_OVERRIDES = 200
_MOST_ADVICE = 4
_MOST_ALERTS = 4
_MOST_FINDINGS = 4
_LATEST = 250
"""Findings that the overview looks at."""
_FINDINGS = 25
"""On a page of them."""


_ORIGINS = {FILE: "the file changed", CALL: "reload", END_OF_OVERRIDE: "an override ended"}
"""Where a change comes from, where its own name does not say it."""


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
        case ["findings"]:
            return View("findings.html", "Findings", _findings)
        case ["alerts"]:
            return View("alerts.html", "Alerts", _alerts)
        case ["configuration"]:
            return View("configuration.html", "Configuration", _configuration, is_live=False)
        case ["tenants", name]:
            return View("tenant.html", name, tenant_page, name)
        case ["databases", name]:
            return View("database.html", name, _database, name, pulse=name)
    return None


# -- overview ----------------------------------------------------------------------------------


async def _overview(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    reading = await look.hub.reading()
    verdicts = assess(ManagerStats(reading.databases, {})).databases
    shut = [name for core in look.cores for name in shut_pools(core)]
    is_open = look.source.desk.is_open
    counsel = await look.advisor.counsel()
    alerts = look.source.alerts
    found = await gathered(look, most=_LATEST)
    firing = sorted(alerts.firing(), key=lambda alert: alert.severity != "critical")
    return {
        "summary": summary(reading, verdicts, shut, is_open=is_open),
        "bars": [_bar_of(look, reading, name) for name in reading.databases],
        "verdicts": verdicts,
        "signals": look.hub.pulse.latest(ALL),
        "busiest": reading.busiest(_BUSIEST),
        "busy": sum(reading.busy.values()),
        "troubled": [(load, why_of(look, load.name, counsel)) for load in _troubled(reading)],
        "advice": counsel.advice[:_MOST_ADVICE],
        "more_advice": max(0, len(counsel.advice) - _MOST_ADVICE),
        "findings": found[:_MOST_FINDINGS],
        "firing": firing[:_MOST_ALERTS],
        "more_firing": max(0, len(firing) - _MOST_ALERTS),
        "pending": len(alerts.pending()),
        "now": time(),
        "sessions": len(look.source.desk.sessions.workers),
    }


def _troubled(reading: Reading) -> list[Load]:
    """Tenants that somebody should look at, the worst first."""
    every = [load for loads in reading.loads.values() for load in loads]
    bad = [load for load in every if load.oldest >= _SLOW or load.breaker != "closed"]
    return sorted(bad, key=lambda load: (load.breaker == "closed", -load.oldest))[:_TROUBLED]


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
    counsel = await look.advisor.counsel()
    rows: list[Values] = []
    for start in range(0, len(found.names), _ROWS):
        rows += [tenant_row(look, name, counsel) for name in found.names[start : start + _ROWS]]
        await asyncio.sleep(0)
    return {
        "wanted": wanted,
        "found": found,
        "rows": rows,
        "cells": reading.busiest(_CELLS),
        "busy": sum(reading.busy.values()),
        "orders": ["name", *ORDERS],
        "shown": list(SHOWN),
        "tiers": look.tiers,
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
    loans = look.source.desk.ledger.loans.values()
    return {"text": text, "found": page_of(loans, text, _whole(query.get("page", "")))}


async def _findings(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    text, kind = query.get("q", ""), query.get("kind", "")
    every = await gathered(look)
    found = matching(every, text, kind)
    pages = max(1, -(-len(found) // _FINDINGS))
    page = min(max(1, _whole(query.get("page", ""))), pages)
    return {
        "text": text,
        "kind": kind,
        "kinds": list(WORDS.values()),
        "rows": found[(page - 1) * _FINDINGS : page * _FINDINGS],
        "total": len(found),
        "is_any": bool(every),
        "page": page,
        "pages": pages,
        "now": time(),
    }


async def _alerts(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    alerts = look.source.alerts
    return {
        "firing": alerts.firing(),
        "pending": alerts.pending(),
        "resolved": [alert for alert in alerts.told if alert.state == RESOLVED],
        "now": time(),
    }


async def _configuration(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    settings = look.source.manager.settings
    overrides = list(look.source.manager.roster.overrides.values())[::-1]
    return {
        "overrides": [override_row(look, override) for override in overrides[:_MOST_OVERRIDES]],
        "more_overrides": max(0, len(overrides) - _MOST_OVERRIDES),
        "now": time(),
        "digest": await asyncio.to_thread(lambda: settings.digest),
        "yaml": await asyncio.to_thread(effective_yaml, settings, _MOST_TENANTS),
        "hidden": max(0, len(settings.tenants) - _MOST_TENANTS),
        "reloads": list(look.source.reloader.recent),
        "origins": _ORIGINS,
    }


def _whole(text: str) -> int:
    """The number of a page; 1 for whatever is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
