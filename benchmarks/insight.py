"""Query insight and metrics: what looking at statements and leases, and counting them, costs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from itertools import count
from random import sample
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from benchmarks.measure import Effort, Result, median_of_ratios, postgres, progress
from benchmarks.uncounted import uncounted
from tenantpool import AsyncManager, Manager, Settings
from tenantpool.insight import Insight
from tenantpool.insight._sync.cursor import watched

DBNAME = "postgres"
TENANT = "acme"
QUERY = (
    "select o.id, o.total, o.created_at, c.name, c.email from orders o"
    " join customers c on c.id = o.customer_id where o.customer_id = %s and o.state = any(%s)"
    " and o.total > %s order by o.created_at desc limit 10"
)
INLINE = QUERY.replace("%s", "{}", 1).replace("any(%s)", "any('{{open,paid}}')")
INLINE = INLINE.replace("%s", "9.5")
HOOK_TARGET = 10.0
LEASE_TARGET = 1.05
MANAGERS = ("neither", "off", "on")
"""Without metrics and insight; with metrics, as all managers; with insight, too."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds, and how much in each."""

    rounds: int
    hooks: int
    leases: int


SIZES = {
    Effort.FULL: Size(rounds=200, hooks=2_000, leases=50),
    Effort.QUICK: Size(rounds=60, hooks=1_000, leases=50),
    Effort.TINY: Size(rounds=2, hooks=50, leases=5),
}

Times = dict[str, list[float]]
"""Microseconds for one, in each round."""


def run(effort: Effort) -> Result:
    """Measure the hook by itself, then leases with and without insight and metrics in turns."""
    size = SIZES[effort]
    result = Result("insight", "Query insight and metrics, on beside off")
    progress("statements")
    hooks = _hooks(size)
    result.at_most("per statement, on", median(hooks["seen before"]), HOOK_TARGET, " µs")
    inline = median(hooks["values in its text, never the same"])
    result.at_most("per statement whose text is always new, on", inline, HOOK_TARGET, " µs")
    result.raw = {"microseconds": {"hook": hooks}}
    with postgres() as server:
        dsn = server.dsn(DBNAME)
        progress("leases on threads")
        _report(result, "sync", _sync_leases(dsn, size))
        progress("leases on tasks")
        _report(result, "async", asyncio.run(_async_leases(dsn, size)))
        result.holds("per statement, off", *_off(dsn))
    result.notes.append(
        "The hook is measured around a cursor that does nothing, with a statement of 200"
        " characters; so it is all that a statement pays. A lease: borrow, begin, `select 1`,"
        " commit, return, on one open connection of a real PostgreSQL; in turns, medians of ratios"
        " over rounds. Metrics are counted by every manager (off has them, too); in the one with"
        " neither, the lines of the core that count a lease are taken out of its source. To read"
        " the metrics costs nothing per lease."
    )
    return result


def _report(result: Result, kind: str, times: dict[str, Times]) -> None:
    one = times["one statement"]
    both = median_of_ratios(one["on"], one["neither"])
    what = f"{kind}: a lease with one statement"
    result.at_most(f"{what}, metrics and insight ÷ neither", both, LEASE_TARGET, " ×")
    insight = median_of_ratios(one["on"], one["off"])
    result.at_most(f"{what}, insight on ÷ off", insight, LEASE_TARGET, " ×")
    for what, peers in times.items():
        medians = ", ".join(f"{name} {median(peers[name]):.1f} µs" for name in MANAGERS)
        result.show(f"{kind}: a lease with {what}", medians)
    result.raw["microseconds"][kind] = times


def _off(dsn: str) -> tuple[str, str, bool]:
    with Manager(_settings(dsn, enabled=False)) as manager, manager.connection(TENANT) as conn:
        is_untouched = conn.cursor_factory is psycopg.Cursor
    found = "psycopg's own cursor, untouched" if is_untouched else "a cursor of ours"
    return found, "psycopg's own cursor", is_untouched


# -- the hook --------------------------------------------------------------------------------------


class _Connection:
    """As much of a connection as the hook looks at."""

    pipeline_status = 0
    _tenantpool_watch: object = None


class _Cursor:
    """Runs nothing, at once."""

    _query = None

    def __init__(self, conn: _Connection) -> None:
        self._conn = self._pgconn = conn

    def execute(self, query: str, params: object = None) -> _Cursor:
        return self


def _hooks(size: Size) -> Times:
    conn = _Connection()
    conn._tenantpool_watch = Insight().watch(TENANT)
    plain, hooked = _Cursor(conn), watched(_Cursor)(conn)
    numbers = count()
    same = [QUERY] * size.hooks
    times: Times = {"seen before": [], "values in its text, never the same": []}
    for _ in range(size.rounds):
        new = [INLINE.format(next(numbers)) for _ in range(size.hooks)]
        bare = _execute(plain, same)
        for name, queries in zip(times, (same, new), strict=True):
            times[name].append(1e6 * (_execute(hooked, queries) - bare) / size.hooks)
    return times


def _execute(cursor: Any, queries: list[str]) -> float:
    started = perf_counter()
    for query in queries:
        cursor.execute(query, None)
    return perf_counter() - started


# -- leases ----------------------------------------------------------------------------------------


def _settings(dsn: str, *, enabled: bool) -> Settings:
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": 2}},
        tenants={TENANT: {"dbname": DBNAME}},
        insight={"enabled": enabled},
    )


def _empty() -> dict[str, Times]:
    return {what: {name: [] for name in MANAGERS} for what in ("one statement", "no statement")}


def _shuffled() -> list[str]:
    """The managers, in another order each time: who follows whom makes a difference."""
    return sample(MANAGERS, len(MANAGERS))


def _count_nothing(manager: Manager | AsyncManager) -> None:
    for shell in manager.shells.values():
        shell.core.__class__ = uncounted()


def _sync_leases(dsn: str, size: Size) -> dict[str, Times]:
    times = _empty()
    with ExitStack() as stack:
        managers = {
            name: stack.enter_context(Manager(_settings(dsn, enabled=name == "on")))
            for name in MANAGERS
        }
        _count_nothing(managers["neither"])
        for turn in range(-1, size.rounds):
            for what, lease in (("one statement", _one), ("no statement", _none)):
                for name in _shuffled():
                    taken = lease(managers[name], size.leases)
                    if turn >= 0:  # the first connects, and warms up
                        times[what][name].append(1e6 * taken / size.leases)
    return times


def _one(manager: Manager, leases: int) -> float:
    started = perf_counter()
    for _ in range(leases):
        with manager.connection(TENANT) as conn:
            conn.execute("select 1")
    return perf_counter() - started


def _none(manager: Manager, leases: int) -> float:
    started = perf_counter()
    for _ in range(leases):
        with manager.connection(TENANT):
            pass
    return perf_counter() - started


async def _async_leases(dsn: str, size: Size) -> dict[str, Times]:
    times = _empty()
    lease: Callable[[AsyncManager, int], Awaitable[float]]
    async with AsyncExitStack() as stack:
        managers = {
            name: await stack.enter_async_context(
                AsyncManager(_settings(dsn, enabled=name == "on"))
            )
            for name in MANAGERS
        }
        _count_nothing(managers["neither"])
        for turn in range(-1, size.rounds):
            for what, lease in (("one statement", _one_async), ("no statement", _none_async)):
                for name in _shuffled():
                    taken = await lease(managers[name], size.leases)
                    if turn >= 0:
                        times[what][name].append(1e6 * taken / size.leases)
    return times


async def _one_async(manager: AsyncManager, leases: int) -> float:
    started = perf_counter()
    for _ in range(leases):
        async with manager.connection(TENANT) as conn:
            await conn.execute("select 1")
    return perf_counter() - started


async def _none_async(manager: AsyncManager, leases: int) -> float:
    started = perf_counter()
    for _ in range(leases):
        async with manager.connection(TENANT):
            pass
    return perf_counter() - started
