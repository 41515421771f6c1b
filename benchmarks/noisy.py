"""A noisy tenant with 100 requests waiting, beside a polite one with a few workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from benchmarks.measure import Effort, Result, make_databases, postgres, progress, quantile
from tenantpool import AsyncManager, Settings

NOISY, POLITE = "noisy", "polite"
CAPACITY = 8
WAITERS = 100
HOLD = b"select pg_sleep(0.005)"
WEIGHTS = ((1, 1), (1, 3))
"""Of the polite tenant and of the noisy one."""
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Size:
    """Seconds for both together, and for the polite tenant alone."""

    together: float
    alone: float
    warmup: float


SIZES = {
    Effort.FULL: Size(together=30.0, alone=5.0, warmup=1.0),
    Effort.QUICK: Size(together=10.0, alone=3.0, warmup=1.0),
    Effort.TINY: Size(together=0.4, alone=0.2, warmup=0.1),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The polite tenant's part of the slot time, and its waits in seconds."""

    share: float
    waits: list[float]


def run(effort: Effort) -> Result:
    """Both weights, each alone first."""
    size = SIZES[effort]
    result = Result("noisy", f"A noisy tenant with {WAITERS} waiters beside a polite one")
    with postgres(CAPACITY + 10) as server:
        make_databases(server, [NOISY, POLITE])
        for polite, noisy in WEIGHTS:
            progress(f"weights {polite}:{noisy}")
            settings = _settings(server.dsn(), polite, noisy)
            fair = polite / (polite + noisy)
            workers = round(2 * fair * CAPACITY)
            alone = asyncio.run(_run(settings, {POLITE: workers}, size.warmup, size.alone))
            crowd = {POLITE: workers, NOISY: CAPACITY + WAITERS}
            beside = asyncio.run(_run(settings, crowd, size.warmup, size.together))
            _report(result, f"weights {polite}:{noisy}", fair, alone, beside)
    result.notes.append(
        f"Capacity {CAPACITY}, leases of 5 ms, each tenant in a database of its own. The polite one"
        " has twice as many workers as its share has connections, so it always has a use for it;"
        " half of them wait whatever the noisy one does. Alone, it has a connection for each."
    )
    return result


def _report(result: Result, kind: str, fair: float, alone: Outcome, beside: Outcome) -> None:
    off = beside.share / fair - 1
    result.holds(
        f"{kind}: polite share ÷ weight share",
        f"{beside.share:.1%} of {fair:.1%}: {off:+.1%}",
        f"± {TOLERANCE:.0%}",
        abs(off) <= TOLERANCE,
    )
    both = f"{_milliseconds(beside.waits)} beside the noisy one, {_milliseconds(alone.waits)} alone"
    result.show(f"{kind}: polite wait", both)
    result.raw[kind] = {
        "share": beside.share,
        "weight_share": fair,
        "p99_wait_beside_ms": 1000 * quantile(beside.waits, 0.99),
        "p99_wait_alone_ms": 1000 * quantile(alone.waits, 0.99),
    }


def _milliseconds(waits: list[float]) -> str:
    p50, p99 = 1000 * quantile(waits, 0.5), 1000 * quantile(waits, 0.99)
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"


def _settings(dsn: str, polite: float, noisy: float) -> Settings:
    tier = {"min_size": 0, "cap": CAPACITY, "max_waiting": 2 * WAITERS}
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": CAPACITY}},
        tiers={POLITE: {**tier, "weight": polite}, NOISY: {**tier, "weight": noisy}},
        tenants={name: {"tier": name, "dbname": name} for name in (POLITE, NOISY)},
    )


async def _run(
    settings: Settings, workers: dict[str, int], warmup: float, seconds: float
) -> Outcome:
    async with AsyncManager(settings, kwargs={"autocommit": True}) as manager:
        waits: list[float] = []
        over = asyncio.Event()
        tasks = [
            asyncio.create_task(_work(manager, tenant, over, waits if tenant == POLITE else []))
            for tenant, count in workers.items()
            for _ in range(count)
        ]
        await asyncio.sleep(warmup)
        waits.clear()
        before = _held(manager)
        await asyncio.sleep(seconds)
        after = _held(manager)
        found = list(waits)
        over.set()
        await asyncio.gather(*tasks)
    used = {tenant: after[tenant] - before[tenant] for tenant in workers}
    return Outcome(used[POLITE] / sum(used.values()), found)


async def _work(
    manager: AsyncManager, tenant: str, over: asyncio.Event, waits: list[float]
) -> None:
    while not over.is_set():
        started = perf_counter()
        async with manager.connection(tenant) as conn:
            waits.append(perf_counter() - started)
            await conn.execute(HOLD)


def _held(manager: AsyncManager) -> dict[str, float]:
    """Slot-seconds of each tenant so far."""
    return {name: tenant.held for name, tenant in manager.stats().tenants.items()}
