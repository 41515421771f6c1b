"""The process of one state in ``insight.py``: lends when told to, and says how long that took.

    python -m benchmarks.insight_process sync|async neither|off|on DSN

Each line on its input is what a lease does, ``statement`` or ``nothing``, and how many leases; each
on its output the microseconds that one took. A state has a process of its own, because Python makes
code faster for the classes that it has met: whoever meets two kinds of cursors in turns is slow.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from time import perf_counter

from benchmarks.uncounted import uncounted
from tenantpool import AsyncManager, Manager, Settings

DBNAME = "postgres"
TENANT = "acme"


def settings(dsn: str, *, enabled: bool) -> Settings:
    """One tenant; insight is *enabled* or not."""
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": 2}},
        tenants={TENANT: {"dbname": DBNAME}},
        insight={"enabled": enabled},
    )


def main() -> None:
    kind, state, dsn = sys.argv[1:]
    made = settings(dsn, enabled=state == "on")
    if kind == "sync":
        with Manager(made) as manager:
            _count(manager, state)
            for runs_statement, leases in _orders():
                _say(_lease(manager, leases, runs_statement), leases)
    else:
        asyncio.run(_async(made, state))


async def _async(made: Settings, state: str) -> None:
    async with AsyncManager(made) as manager:
        _count(manager, state)
        for runs_statement, leases in _orders():
            _say(await _lease_async(manager, leases, runs_statement), leases)


def _count(manager: Manager | AsyncManager, state: str) -> None:
    """Or do not, in the state neither."""
    if state == "neither":
        for shell in manager.shells.values():
            shell.core.__class__ = uncounted()


def _orders() -> Iterator[tuple[bool, int]]:
    for line in sys.stdin:
        what, leases = line.split()
        yield what == "statement", int(leases)


def _say(seconds: float, leases: int) -> None:
    print(1e6 * seconds / leases, flush=True)


def _lease(manager: Manager, leases: int, runs_statement: bool) -> float:
    started = perf_counter()
    for _ in range(leases):
        with manager.connection(TENANT) as conn:
            if runs_statement:
                conn.execute("select 1")
    return perf_counter() - started


async def _lease_async(manager: AsyncManager, leases: int, runs_statement: bool) -> float:
    started = perf_counter()
    for _ in range(leases):
        async with manager.connection(TENANT) as conn:
            if runs_statement:
                await conn.execute("select 1")
    return perf_counter() - started


if __name__ == "__main__":
    main()
