"""Many worker processes, many tenants, one limit: the service, PgBouncer, and no pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from psycopg.conninfo import make_conninfo

from benchmarks import bouncer
from benchmarks.bouncer import PGBOUNCER, PLAIN, pgbouncer
from benchmarks.crew import crew
from benchmarks.measure import (
    Effort,
    Result,
    make_logins,
    median_of_ratios,
    postgres,
    progress,
    quantile,
)
from benchmarks.served import service
from tenantpool.cli.demo.sampler import Sampler
from tenantpool.embedded import EmbeddedPostgres

EXPONENT = 1.1
HOLD = 0.004
LOOK = 0.002
"""Seconds between two looks at pg_stat_activity, which must not cost what is measured."""
HEADROOM = 50
"""Connections that the server allows beyond the capacity, so that an overshoot is seen."""

Lenders = AbstractContextManager[dict[str, str]]

OURS, NO_POOL = "tenantpool", "a connect per request"


@dataclass(frozen=True, slots=True)
class Size:
    """Each of *rounds* takes *seconds* after a *warmup*."""

    processes: int
    tenants: int
    capacity: int
    rounds: int
    seconds: float
    warmup: float


SIZES = {
    Effort.FULL: Size(processes=64, tenants=200, capacity=50, rounds=3, seconds=4.0, warmup=4.0),
    Effort.QUICK: Size(processes=64, tenants=200, capacity=50, rounds=1, seconds=2.0, warmup=1.0),
    Effort.TINY: Size(processes=3, tenants=4, capacity=3, rounds=1, seconds=0.3, warmup=0.2),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a contender gave."""

    per_second: float
    p50: float
    p99: float
    errors: dict[str, int]
    most: int
    """Most connections that pg_stat_activity showed."""


def run(effort: Effort) -> Result:
    """All contenders in each round."""
    size = SIZES[effort]
    result = Result(
        "workers",
        f"{size.processes} worker processes, {size.tenants} tenants, capacity {size.capacity}",
    )
    names = [f"tenant_{number}" for number in range(size.tenants)]
    peers = [OURS, PGBOUNCER, NO_POOL] if bouncer.program() is not None else [OURS, NO_POOL]
    found: dict[str, list[Outcome]] = {name: [] for name in peers}
    with postgres(size.capacity + HEADROOM) as server:
        make_logins(server, names)
        for number in range(size.rounds):
            for name in peers:
                progress(f"round {number + 1}: {name}")
                found[name].append(_run(server, name, names, size))
    _report(result, size, found)
    bouncer.note(result)
    result.raw = {name: [asdict(outcome) for outcome in runs] for name, runs in found.items()}
    result.notes += [
        f"Each worker is a process that asks without a pause, each time for another tenant (Zipf"
        f" {EXPONENT}), and holds the connection for {1000 * HOLD:g} ms; times are from asking to"
        " having given back. Each tenant has a login role, and so a pool, of its own, all in one"
        " database.",
        f"PgBouncer: pool_mode=session, max_db_connections={size.capacity}, default_pool_size="
        f"{size.capacity}. That is its best case: its limits are per database or per user, so for"
        " tenants with a database each it has no limit over all of them. Within a database it makes"
        " room by closing another pool's idle connection, without waiting until the server has.",
        "A connect per request knows no limit: the server has room for more than the capacity, so"
        " that it shows.",
    ]
    return result


def _contender(server: EmbeddedPostgres, name: str, tenants: list[str], size: Size) -> Lenders:
    """What is to be started for a run, as a context manager that says how workers reach it."""
    if name == OURS:
        return _service(server, size)
    if name == PGBOUNCER:
        return _pgbouncer(server, tenants, size)
    return nullcontext({"conninfo": make_conninfo(server.dsn(), **PLAIN)})


@contextmanager
def _service(server: EmbeddedPostgres, size: Size) -> Iterator[dict[str, str]]:
    waiting = {"cap": size.capacity, "max_waiting": size.processes}
    template = {"dbname": "postgres", "user": "{tenant}"}
    with service(server.dsn(), size.capacity, tier=waiting, template=template) as served:
        yield {"target": served.target}


@contextmanager
def _pgbouncer(
    server: EmbeddedPostgres, tenants: list[str], size: Size
) -> Iterator[dict[str, str]]:
    limits = {"max_db_connections": size.capacity, "default_pool_size": size.capacity}
    with pgbouncer(server, tenants, **limits) as conninfo:
        yield {"conninfo": conninfo}


def _run(server: EmbeddedPostgres, name: str, tenants: list[str], size: Size) -> Outcome:
    spec: dict[str, Any] = {"tenants": tenants, "exponent": EXPONENT}
    spec["statement"] = f"select pg_sleep({HOLD})"
    sampler = Sampler(server.dsn(), pause=LOOK)
    with sampler, _contender(server, name, tenants, size) as way:
        found = crew(
            "benchmarks.workers_load:work",
            size.processes,
            spec | way,
            warmup=size.warmup,
            seconds=size.seconds,
        )
    times = [time for worker in found.workers for time in worker["times"]]
    errors: Counter[str] = Counter()
    for worker in found.workers:
        errors.update(worker["errors"])
    return Outcome(
        per_second=len(times) / found.seconds,
        p50=quantile(times, 0.5),
        p99=quantile(times, 0.99),
        errors=dict(errors),
        most=sampler.most,
    )


def _report(result: Result, size: Size, found: dict[str, list[Outcome]]) -> None:
    ours, limit = found[OURS], size.capacity
    errors = sum(sum(outcome.errors.values()) for outcome in ours)
    result.holds(f"{OURS}: errors", str(errors), "0", errors == 0)
    most = max(outcome.most for outcome in ours)
    what = f"{OURS}: most connections in pg_stat_activity"
    result.holds(what, str(most), f"≤ {limit}", most <= limit)
    for name, outcomes in found.items():
        ratio = median_of_ratios(
            [outcome.per_second for outcome in outcomes],
            [outcome.per_second for outcome in ours],
        )
        text = f"{_summary(outcomes)}; {ratio:.2f} × the requests of {OURS}"
        result.show(name, text, headline=True)


def _summary(outcomes: list[Outcome]) -> str:
    rate = median(outcome.per_second for outcome in outcomes)
    p50 = 1000 * median(outcome.p50 for outcome in outcomes)
    p99 = 1000 * median(outcome.p99 for outcome in outcomes)
    errors = sum(sum(outcome.errors.values()) for outcome in outcomes)
    most = max(outcome.most for outcome in outcomes)
    return (
        f"{rate:,.0f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {errors} errors, at most {most} open"
    )
