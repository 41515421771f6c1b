"""The first lease of a cold tenant, beside a bare connect to the same database."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import psycopg

from benchmarks.measure import Effort, Result, make_logins, postgres, progress
from tenantpool import AsyncManager, Manager, Settings

TARGET = 1.15
DBNAME = "postgres"
POLL = 0.0005
LONGEST_END = 5.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many tenants, each of which is cold once."""

    tenants: int


SIZES = {
    Effort.FULL: Size(tenants=300),
    Effort.QUICK: Size(tenants=100),
    Effort.TINY: Size(tenants=4),
}


@dataclass(slots=True)
class Pairs:
    """Milliseconds of a bare connect and of a first lease, side by side."""

    bare: list[float]
    lease: list[float]

    @classmethod
    def empty(cls) -> Pairs:
        return cls([], [])


def run(effort: Effort) -> Result:
    """Measure with threads and with tasks, each tenant once with each."""
    size = SIZES[effort]
    result = Result("cold_start", "First lease of a cold tenant, beside a bare connect")
    names = [f"cold_{number}" for number in range(size.tenants)]
    with postgres() as server:
        make_logins(server, names)
        settings = _settings(server.dsn())
        progress(f"{size.tenants} tenants, sync")
        pairs = _run_sync(settings, server.dsn(DBNAME), names)
        _report(result, "sync", pairs, TARGET)
        progress(f"{size.tenants} tenants, async")
        pairs = asyncio.run(_run_async(settings, server.dsn(DBNAME), names))
        _report(result, "async", pairs)
    result.notes.append(
        "Each tenant has a login role, and so a pool, of its own with min_size 0; bare connects"
        " go to the same database as the same role, in turns with the leases."
    )
    return result


def _report(result: Result, kind: str, pairs: Pairs, target: float | None = None) -> None:
    lease, bare = median(pairs.lease), median(pairs.bare)
    what = f"{kind}: first lease ÷ bare connect"
    if target is None:
        result.show(what, f"{lease / bare:.3g} ×", headline=True)
    else:
        result.at_most(what, lease / bare, target, " ×")
    result.show(f"{kind}: medians", f"lease {lease:.2f} ms, bare connect {bare:.2f} ms")
    result.raw[kind] = {"lease_ms": pairs.lease, "bare_ms": pairs.bare}


def _settings(dsn: str) -> Settings:
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": 10}},
        tiers={"basic": {"min_size": 0}},
        template={"dbname": DBNAME, "user": "{tenant}"},
    )


def _bare_first(number: int) -> bool:
    """Half of the tenants meet the bare connect first, in no order."""
    return random.Random(number).random() < 0.5


def _wait_for_end(descriptor: int) -> None:
    """Wait until the backend at the other end is gone, as tenantpool does after each close."""
    with socket.socket(fileno=descriptor) as end, suppress(OSError):
        end.settimeout(LONGEST_END)
        while end.recv(1024):
            pass


# -- threads ---------------------------------------------------------------------------------------


def _run_sync(settings: Settings, dsn: str, names: Sequence[str]) -> Pairs:
    pairs = Pairs.empty()
    with Manager(settings) as manager:
        for number, name in enumerate(names):
            if _bare_first(number):
                pairs.bare.append(_bare(dsn, name))
            pairs.lease.append(_lease(manager, name))
            if not _bare_first(number):
                pairs.bare.append(_bare(dsn, name))
    return pairs


def _bare(dsn: str, user: str) -> float:
    started = perf_counter()
    conn = psycopg.connect(dsn, user=user)
    taken = perf_counter() - started
    descriptor = os.dup(conn.fileno())
    conn.close()
    _wait_for_end(descriptor)
    return 1000 * taken


def _lease(manager: Manager, tenant: str) -> float:
    started = perf_counter()
    with manager.connection(tenant):
        taken = perf_counter() - started
    manager.evict(tenant)
    while manager.stats().databases["main"].used:
        time.sleep(POLL)
    return 1000 * taken


# -- tasks -----------------------------------------------------------------------------------------


async def _run_async(settings: Settings, dsn: str, names: Sequence[str]) -> Pairs:
    pairs = Pairs.empty()
    async with AsyncManager(settings) as manager:
        for number, name in enumerate(names):
            if _bare_first(number):
                pairs.bare.append(await _bare_async(dsn, name))
            pairs.lease.append(await _lease_async(manager, name))
            if not _bare_first(number):
                pairs.bare.append(await _bare_async(dsn, name))
    return pairs


async def _bare_async(dsn: str, user: str) -> float:
    started = perf_counter()
    conn = await psycopg.AsyncConnection.connect(dsn, user=user)
    taken = perf_counter() - started
    descriptor = os.dup(conn.fileno())
    await conn.close()
    _wait_for_end(descriptor)
    return 1000 * taken


async def _lease_async(manager: AsyncManager, tenant: str) -> float:
    started = perf_counter()
    async with manager.connection(tenant):
        taken = perf_counter() - started
    manager.evict(tenant)
    while manager.stats().databases["main"].used:
        await asyncio.sleep(POLL)
    return 1000 * taken
