"""The database restarts under load: how soon does work go on, and is anything lost?"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from time import monotonic

import psycopg

from benchmarks.measure import Effort, Result, make_databases, postgres, progress
from tenantpool import AsyncManager, Refused, Settings
from tenantpool.embedded import EmbeddedPostgres, StopMode

CAPACITY = 10
WORKERS = 30
TENANTS = ("north", "south", "east")
TARGET = 1.0
POLL = 0.002
LONGEST = 60.0
LONGEST_REST = 5.0
STEP = 0.01
TABLE = "create table done (id int primary key)"
SELECT = "select id from done"
INSERT = "insert into done values (%s)"


@dataclass(frozen=True, slots=True)
class Size:
    """How each restart goes, and how many seconds the server stays away."""

    outages: tuple[tuple[StopMode, float], ...]
    calm: float
    """Seconds of undisturbed work before each."""


SIZES = {
    Effort.FULL: Size(
        outages=(("fast", 0.0), ("immediate", 0.0), ("fast", 1.0), ("fast", 2.0), ("fast", 3.7)),
        calm=1.0,
    ),
    Effort.QUICK: Size(outages=(("fast", 0.0), ("fast", 2.0)), calm=0.5),
    Effort.TINY: Size(outages=(("fast", 0.0),), calm=0.2),
}


@dataclass(slots=True)
class Log:
    """What the workers know."""

    acknowledged: set[int] = field(default_factory=set)
    """Rows whose commit was confirmed."""
    successes: list[float] = field(default_factory=list)
    """When each lease that did its work ended."""
    errors: int = 0


def run(effort: Effort) -> Result:
    """One manager, one load, several restarts."""
    size = SIZES[effort]
    result = Result("restart", "The database restarts under load")
    with postgres(CAPACITY + 10) as server:
        make_databases(server, TENANTS)
        for name in TENANTS:
            server.execute(TABLE, dbname=name)
        log, delays, left = asyncio.run(_run(server, size))
        rows = {row[0] for name in TENANTS for row in server.execute(SELECT, dbname=name)}
    for (mode, away), delay in zip(size.outages, delays, strict=True):
        progress(f"{mode}, {away:g} s away: first lease after {delay:.3f} s")
    lost = len(log.acknowledged - rows)
    result.at_most("accepts again to first lease done, longest", max(delays), TARGET, " s")
    result.show("... median", f"{median(delays):.3f} s of {len(delays)} restarts")
    result.holds("committed rows lost", str(lost), "0", lost == 0)
    result.holds("slots left over when the load ended", str(left), "0", left == 0)
    figures = f"{len(log.successes):,} done, {log.errors:,} failed while it was away"
    result.show("leases", figures)
    result.raw = {"outages": size.outages, "delays_s": delays, "errors": log.errors}
    result.notes.append(
        f"{WORKERS} workers of {len(TENANTS)} tenants insert a row in each lease; a thread that"
        " connects without tenantpool, every 2 ms, sees when the server accepts again. The server"
        " is stopped in the fast and in the immediate mode, and stays away for 0 to 3.7 s."
    )
    return result


async def _run(server: EmbeddedPostgres, size: Size) -> tuple[Log, list[float], int]:
    """The log, the delay after each outage, and slots that are not idle at the end."""
    log = Log()
    delays: list[float] = []
    over = asyncio.Event()
    numbers = count()
    async with AsyncManager(_settings(server.dsn())) as manager:
        tasks = [
            asyncio.create_task(_work(manager, TENANTS[number % len(TENANTS)], numbers, log, over))
            for number in range(WORKERS)
        ]
        for mode, away in size.outages:
            await asyncio.sleep(size.calm)
            delays.append(await _restart(server, mode, away, log))
        over.set()
        await asyncio.gather(*tasks)
        left = await _left_over(manager)
    return log, delays, left


async def _left_over(manager: AsyncManager) -> int:
    """Slots that are not idle, and waiters, after connects and closes under way have ended."""
    deadline = monotonic() + LONGEST_REST
    while True:
        stats = manager.stats().databases["main"]
        left = stats.used - stats.idle + stats.waiting
        if not left or monotonic() > deadline:
            return left
        await asyncio.sleep(STEP)


async def _restart(server: EmbeddedPostgres, mode: StopMode, away: float, log: Log) -> float:
    """Seconds from when the server accepts again until a lease has done its work."""
    await asyncio.to_thread(server.stop, mode)
    stopped = monotonic()
    await asyncio.sleep(away)
    with _watching(server.dsn()) as accepted:
        await asyncio.to_thread(server.start)
        while not accepted or log.successes[-1] < stopped:
            if monotonic() > stopped + LONGEST:
                raise TimeoutError(f"no lease within {LONGEST:g} s after a restart")
            await asyncio.sleep(STEP)
    first = next(when for when in log.successes if when > stopped)
    return max(0.0, first - accepted[0])


@contextmanager
def _watching(dsn: str) -> Iterator[list[float]]:
    """A thread connects until it succeeds; then the list holds when that was."""
    accepted: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                psycopg.connect(dsn).close()
            except psycopg.OperationalError:
                time.sleep(POLL)
            else:
                accepted.append(monotonic())
                return

    thread = threading.Thread(target=watch, name="watcher")
    thread.start()
    try:
        yield accepted
    finally:
        over.set()
        thread.join()


async def _work(
    manager: AsyncManager, tenant: str, numbers: Iterator[int], log: Log, over: asyncio.Event
) -> None:
    while not over.is_set():
        number = next(numbers)
        try:
            async with manager.connection(tenant) as conn:
                await conn.execute(INSERT, [number])
        except Refused as error:
            log.errors += 1
            await asyncio.sleep(min(error.retry_after or STEP, 10 * STEP))
        except psycopg.Error:
            log.errors += 1
            await asyncio.sleep(STEP)
        else:
            log.acknowledged.add(number)
            log.successes.append(monotonic())


def _settings(dsn: str) -> Settings:
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": CAPACITY}},
        tiers={"basic": {"min_size": 0, "cap": CAPACITY}},
        template={"dbname": "{tenant}"},
    )
