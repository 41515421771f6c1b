"""200 tenants with a pool each want 50 connections, some tenants much more than others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import median
from time import perf_counter

from benchmarks.contenders import (
    AUTOCOMMIT,
    Contender,
    NoPools,
    PoolsByHand,
    Tenantpool,
    zipf,
)
from benchmarks.measure import (
    Effort,
    Result,
    make_logins,
    median_of_ratios,
    postgres,
    progress,
    quantile,
)
from benchmarks.slots import SlotWatch
from tenantpool import AsyncManager, Settings
from tenantpool.cli.demo.sampler import Sampler

EXPONENT = 1.1
SHORT = 0.004
LONG = 0.2
LOOK = 0.002
"""Seconds between two looks at pg_stat_activity, which must not cost what is measured."""
_BEFORE_IT_REPEATS = 10_000
UTILISATION_TARGET = 0.97
HEADROOM = 40
"""Connections that the server allows beyond the capacity, so that an overshoot is seen."""

OURS = "tenantpool"
BY_HAND = "psycopg_pool by hand"
NO_POOL = "a connect per request"
FREE = "tenantpool, connects not limited"
NO_QUANTUM = "the same without quantum"


@dataclass(frozen=True, slots=True)
class Size:
    """How much to measure: each of *rounds* takes *seconds* after a *warmup*.

    A *crowd* is many more workers than connections, each of which stays with its tenant.
    """

    tenants: int
    capacity: int
    workers: int
    crowd: int
    rounds: int
    seconds: float
    warmup: float


SIZES = {
    Effort.FULL: Size(
        tenants=200, capacity=50, workers=64, crowd=400, rounds=3, seconds=3.0, warmup=1.0
    ),
    Effort.QUICK: Size(
        tenants=200, capacity=50, workers=64, crowd=400, rounds=1, seconds=2.0, warmup=1.0
    ),
    Effort.TINY: Size(
        tenants=4, capacity=3, workers=6, crowd=12, rounds=1, seconds=0.2, warmup=0.1
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a contender gave."""

    per_second: float
    p50: float
    p99: float
    errors: int
    most: int
    """Most connections that pg_stat_activity showed."""
    utilisation: float | None = None
    lent: float | None = None


def run(effort: Effort) -> Result:
    """Short leases beside the others, long ones for utilisation, a crowd for the quantum."""
    size = SIZES[effort]
    result = Result("zipf", f"{size.tenants} tenants, Zipf {EXPONENT}, capacity {size.capacity}")
    with postgres(size.capacity + HEADROOM) as server:
        bench = Bench(server.dsn(), size)
        make_logins(server, list(bench.shares))
        contest = bench.compare([OURS, BY_HAND, NO_POOL], size.workers, SHORT, loyal=False)
        full = bench.compare([OURS], size.workers, LONG, loyal=False)
        crowd = bench.compare([OURS, FREE, NO_QUANTUM], size.crowd, SHORT, loyal=True)
    parts = {"contest": contest, "full": full, "crowd": crowd}
    ours = (OURS, FREE, NO_QUANTUM)
    _report_limit(
        result,
        size,
        [run for part in parts.values() for peer in ours for run in part.get(peer, [])],
    )
    _report_use(result, full[OURS])
    _report_contest(result, size.workers, contest)
    _report_quantum(result, size.crowd, crowd)
    result.raw = {
        name: {peer: [asdict(outcome) for outcome in runs] for peer, runs in found.items()}
        for name, found in parts.items()
    }
    result.notes += [
        "Each tenant has a login role, and so a pool, of its own: as far apart as by databases,"
        " without the 1.5 GB of files that 200 databases would be.",
        f"{size.workers} workers in one event loop ask without a pause, each time for another"
        f" tenant; the {size.crowd} stay with their tenant. Leases of {1000 * SHORT:g} ms.",
        f"Utilisation: slots lent, opening, closing or resetting ÷ capacity, sampled every 5 ms"
        f" while somebody waits for whom no slot is on its way, with leases of {1000 * LONG:g} ms."
        f" With leases of {1000 * SHORT:g} ms the slots are not what is short: it is how fast the"
        " server lets them move, 4 connects at a time.",
        "What the quantum buys shows where as many connects as slots may be under way; by default"
        " there are 4, which bounds what moving slots can cost.",
        "By hand: tenants whose share of the demand is a connection or more have a psycopg_pool"
        " of that size for good; the others take turns in pools of one connection, of which the"
        " one unused for longest is closed. The connect per request waits for one of as many"
        " places as the capacity has.",
    ]
    return result


class Bench:
    """Runs contenders on one server, in turns."""

    def __init__(self, dsn: str, size: Size) -> None:
        self._dsn = dsn
        self._size = size
        self.shares = zipf([f"zipf_{number}" for number in range(size.tenants)], EXPONENT)
        capacity = size.capacity
        self._make: dict[str, Callable[[], Contender]] = {
            OURS: lambda: self._tenantpool(),
            FREE: lambda: self._tenantpool(connect_concurrency=capacity),
            NO_QUANTUM: lambda: self._tenantpool(connect_concurrency=capacity, quantum_factor=0),
            BY_HAND: lambda: PoolsByHand(dsn, capacity, self.shares),
            NO_POOL: lambda: NoPools(dsn, capacity),
        }

    def compare(
        self, peers: list[str], workers: int, hold: float, *, loyal: bool
    ) -> dict[str, list[Outcome]]:
        """Run each of *peers* once in every round."""
        found: dict[str, list[Outcome]] = {peer: [] for peer in peers}
        for number in range(self._size.rounds):
            for peer in peers:
                progress(f"round {number + 1}: {peer}, {workers} workers, {1000 * hold:g} ms")
                outcome = asyncio.run(self._run(self._make[peer], workers, hold, loyal))
                found[peer].append(outcome)
        return found

    def _tenantpool(self, **limits: int) -> Tenantpool:
        capacity, crowd = self._size.capacity, self._size.crowd
        settings = Settings(
            databases={"main": {"conninfo": self._dsn, "capacity": capacity, **limits}},
            tiers={"basic": {"min_size": 0, "cap": capacity, "max_waiting": crowd}},
            template={"dbname": "postgres", "user": "{tenant}"},
        )
        return Tenantpool(AsyncManager(settings, kwargs=AUTOCOMMIT))

    async def _run(
        self, make: Callable[[], Contender], workers: int, hold: float, loyal: bool
    ) -> Outcome:
        with Sampler(self._dsn, pause=LOOK) as sampler:
            async with make() as contender:
                load = Load(contender, self._demand(workers, loyal), hold)
                outcome = await self._measure(contender, load)
                await load.end()
        return Outcome(**{**asdict(outcome), "most": sampler.most})

    def _demand(self, workers: int, loyal: bool) -> list[list[str]]:
        """The tenants that each worker asks for, in turn: *loyal* ones always for the same."""
        tenants, shares = list(self.shares), list(self.shares.values())
        asked = 1 if loyal else _BEFORE_IT_REPEATS
        return [random.Random(seed).choices(tenants, shares, k=asked) for seed in range(workers)]

    async def _measure(self, contender: Contender, load: Load) -> Outcome:
        await asyncio.sleep(self._size.warmup)
        load.reset()
        started = perf_counter()
        if isinstance(contender, Tenantpool):
            watch = SlotWatch(contender.manager)
            await watch.look_for(self._size.seconds)
            utilisation, lent = watch.utilisation, watch.lent
        else:
            await asyncio.sleep(self._size.seconds)
            utilisation = lent = None
        taken = perf_counter() - started
        times = load.times
        return Outcome(
            per_second=len(times) / taken,
            p50=quantile(times, 0.5),
            p99=quantile(times, 0.99),
            errors=load.errors,
            most=0,
            utilisation=utilisation,
            lent=lent,
        )


class Load:
    """Workers that ask for the next tenant of their *demand* without a pause."""

    def __init__(self, contender: Contender, demand: list[list[str]], hold: float) -> None:
        self.times: list[float] = []
        """Seconds from asking for a connection to having returned it."""
        self.errors = 0
        self._contender = contender
        self._statement = f"select pg_sleep({hold})".encode()
        self._over = False
        self._tasks = [asyncio.create_task(self._work(tenants)) for tenants in demand]

    def reset(self) -> None:
        """Forget the requests so far, but not the errors."""
        self.times = []

    async def end(self) -> None:
        """Let each worker finish its request."""
        self._over = True
        await asyncio.gather(*self._tasks)

    async def _work(self, tenants: list[str]) -> None:
        for tenant in cycle(tenants):
            if self._over:
                return
            started = perf_counter()
            try:
                await self._contender.query(tenant, self._statement)
            except Exception as error:
                self.errors += 1
                progress(f"{type(error).__name__}: {error}")
                await asyncio.sleep(0.1)
            self.times.append(perf_counter() - started)


# -- what is reported ------------------------------------------------------------------------------


def _report_limit(result: Result, size: Size, runs: list[Outcome]) -> None:
    errors = sum(outcome.errors for outcome in runs)
    result.holds("errors", str(errors), "0", errors == 0)
    most = max(outcome.most for outcome in runs)
    limit = size.capacity
    result.holds("most connections in pg_stat_activity", str(most), f"≤ {limit}", most <= limit)


def _report_use(result: Result, runs: list[Outcome]) -> None:
    used = _median_utilisation(runs)
    target = UTILISATION_TARGET
    what = f"utilisation while somebody waits, leases of {1000 * LONG:g} ms"
    result.holds(what, f"{used:.1%}", f"≥ {target:.0%}", used >= target)
    result.show("... of which lent", f"{median(run.lent or 0.0 for run in runs):.1%}")


def _median_utilisation(runs: list[Outcome]) -> float:
    """Over the runs in which somebody ever waited."""
    found = [run.utilisation for run in runs if run.utilisation is not None]
    return median(found) if found else 0.0


def _report_contest(result: Result, workers: int, runs: dict[str, list[Outcome]]) -> None:
    for peer, outcomes in runs.items():
        ratio = median_of_ratios(
            [outcome.per_second for outcome in outcomes],
            [outcome.per_second for outcome in runs[OURS]],
        )
        text = f"{_summary(outcomes)}; {ratio:.2f} ×"
        result.show(f"{workers} workers: {peer}", text, headline=True)


def _report_quantum(result: Result, workers: int, runs: dict[str, list[Outcome]]) -> None:
    for peer, outcomes in runs.items():
        result.show(f"{workers} workers: {peer}", _summary(outcomes))
    gain = median_of_ratios(
        [outcome.per_second for outcome in runs[FREE]],
        [outcome.per_second for outcome in runs[NO_QUANTUM]],
    )
    what = f"{workers} workers: the quantum gives"
    result.show(what, f"{gain:.2f} × the leases", headline=True)


def _summary(outcomes: list[Outcome]) -> str:
    leases = median(outcome.per_second for outcome in outcomes)
    p50 = 1000 * median(outcome.p50 for outcome in outcomes)
    p99 = 1000 * median(outcome.p99 for outcome in outcomes)
    most = max(outcome.most for outcome in outcomes)
    errors = sum(outcome.errors for outcome in outcomes)
    failed = f", {errors} errors" if errors else ""
    return f"{leases:,.0f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, at most {most} open{failed}"
