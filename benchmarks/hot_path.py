"""The hot path: borrow a connection that is there, and give it back. No query, no waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from benchmarks.measure import Effort, Result, median_of_ratios, postgres, progress
from tenantpool import AsyncManager, Manager, Settings

DBNAME = "postgres"
TENANT = "acme"
SYNC_TARGET = 1.5
ASYNC_TARGET = 1.0
SLOWER = 8
"""asyncpg takes many times as long, so it is measured less often."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds, and how often each peer borrows in each."""

    rounds: int
    loops: int


SIZES = {
    Effort.FULL: Size(rounds=25, loops=4000),
    Effort.QUICK: Size(rounds=9, loops=2000),
    Effort.TINY: Size(rounds=2, loops=20),
}

Loop = Callable[[int], float]
AsyncLoop = Callable[[int], Awaitable[float]]
Times = dict[str, list[float]]
"""Microseconds for one borrowing, in each round, by peer."""


def run(effort: Effort) -> Result:
    """Measure all peers, on threads and on tasks."""
    size = SIZES[effort]
    result = Result("hot_path", "Hot path: borrow and return a connection that is there")
    with postgres() as server:
        dsn = server.dsn(DBNAME)
        progress("sync peers")
        sync_times = _run_sync(dsn, size)
        progress("async peers")
        async_times = asyncio.run(_run_async(dsn, size))
    _report(result, "sync", sync_times, SYNC_TARGET)
    _report(result, "async", async_times, ASYNC_TARGET)
    result.raw = {"microseconds": {"sync": sync_times, "async": async_times}}
    result.notes.append(
        "One connection, one thread or task; an empty block. asyncpg resets the session with a"
        " query at each return; it is shown with and without."
    )
    return result


def _report(result: Result, kind: str, times: Times, target: float) -> None:
    ratio = median_of_ratios(times["tenantpool"], times["psycopg_pool"])
    result.at_most(f"{kind}: tenantpool ÷ psycopg_pool", ratio, target, " ×")
    peers = ", ".join(f"{peer} {median(times[peer]):.1f} µs" for peer in times)
    result.show(f"{kind}: median of each", peers, headline=True)


def _settings(dsn: str) -> Settings:
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": 4}},
        tenants={TENANT: {"dbname": DBNAME}},
    )


# -- threads ---------------------------------------------------------------------------------------


def _run_sync(dsn: str, size: Size) -> Times:
    with ExitStack() as stack:
        manager = stack.enter_context(Manager(_settings(dsn)))
        pool = stack.enter_context(ConnectionPool(dsn, min_size=1, max_size=4))
        peers: dict[str, Loop] = {
            "tenantpool": lambda loops: _borrow_tenantpool(manager, loops),
            "psycopg_pool": lambda loops: _borrow_psycopg_pool(pool, loops),
            "SQLAlchemy QueuePool": _queue_pool(stack, dsn),
        }
        times: Times = {peer: [] for peer in peers}
        for peer in peers.values():
            peer(size.loops)  # connects, and warms up
        for _ in range(size.rounds):
            for name, peer in peers.items():
                times[name].append(1e6 * peer(size.loops) / size.loops)
        return times


def _borrow_tenantpool(manager: Manager, loops: int) -> float:
    started = perf_counter()
    for _ in range(loops):
        with manager.connection(TENANT):
            pass
    return perf_counter() - started


def _borrow_psycopg_pool(pool: ConnectionPool, loops: int) -> float:
    started = perf_counter()
    for _ in range(loops):
        with pool.connection():
            pass
    return perf_counter() - started


def _queue_pool(stack: ExitStack, dsn: str) -> Loop:
    from sqlalchemy import QueuePool

    def connect() -> Any:  # SQLAlchemy's own type of a connection is another
        return psycopg.connect(dsn)

    pool = QueuePool(connect, pool_size=4)
    stack.callback(pool.dispose)

    def borrow(loops: int) -> float:
        started = perf_counter()
        for _ in range(loops):
            pool.connect().close()
        return perf_counter() - started

    return borrow


# -- tasks -----------------------------------------------------------------------------------------


async def _run_async(dsn: str, size: Size) -> Times:
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(AsyncManager(_settings(dsn)))
        pool = AsyncConnectionPool(dsn, min_size=1, max_size=4, open=False)
        await stack.enter_async_context(pool)
        peers: dict[str, AsyncLoop] = {
            "tenantpool": lambda loops: _borrow_tenantpool_async(manager, loops),
            "psycopg_pool": lambda loops: _borrow_psycopg_pool_async(pool, loops),
            "asyncpg": await _asyncpg(stack, dsn, reset=True),
            "asyncpg, no reset": await _asyncpg(stack, dsn, reset=False),
        }
        times: Times = {peer: [] for peer in peers}
        for peer in peers.values():
            await peer(size.loops)
        for _ in range(size.rounds):
            for name, peer in peers.items():
                times[name].append(1e6 * await peer(size.loops) / size.loops)
        return times


async def _borrow_tenantpool_async(manager: AsyncManager, loops: int) -> float:
    started = perf_counter()
    for _ in range(loops):
        async with manager.connection(TENANT):
            pass
    return perf_counter() - started


async def _borrow_psycopg_pool_async(pool: AsyncConnectionPool, loops: int) -> float:
    started = perf_counter()
    for _ in range(loops):
        async with pool.connection():
            pass
    return perf_counter() - started


async def _asyncpg(stack: AsyncExitStack, dsn: str, *, reset: bool) -> AsyncLoop:
    import asyncpg

    async def no_reset(_: object) -> None:
        pass

    options = psycopg.conninfo.conninfo_to_dict(dsn)
    pool = asyncpg.create_pool(
        host=options["host"],
        port=options["port"],
        user=options["user"],
        database=options["dbname"],
        min_size=1,
        max_size=4,
        reset=None if reset else no_reset,
    )
    await stack.enter_async_context(pool)

    async def borrow(loops: int) -> float:
        some = max(1, loops // SLOWER)
        started = perf_counter()
        for _ in range(some):
            async with pool.acquire():
                pass
        return (perf_counter() - started) * loops / some

    return borrow
