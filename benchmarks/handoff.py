"""A lease, one query, and its return, from a worker's process; beside PgBouncer and no pool."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks import bouncer
from benchmarks.bouncer import PLAIN, pgbouncer
from benchmarks.measure import Effort, Result, median_of_ratios, postgres, progress, quantile
from benchmarks.served import TENANT, service
from tenantpool.client import LeaseClient
from tenantpool.embedded import HOST

QUERY = b"select 1"
CAPACITY = 8
KEPT = 60.0
"""Seconds for which a lease stays parked: longer than it is not used here."""
OF_PGBOUNCER = 0.6
OF_CONNECT = 0.1
OF_OPEN = 1.5

LEASE, PARKED = "hand-off", "hand-off, parked lease"
PGBOUNCER = bouncer.PGBOUNCER
UNIX, TCP = "new connection, Unix socket", "new connection, TCP"
OPEN = "query on an open connection"
SLOW = {UNIX: 8, TCP: 8}
"""They take many times as long, so they are measured less often."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds, and how often each contender comes in each."""

    rounds: int
    loops: int


SIZES = {
    Effort.FULL: Size(rounds=25, loops=300),
    Effort.QUICK: Size(rounds=8, loops=200),
    Effort.TINY: Size(rounds=2, loops=8),
}

Contender = Callable[[], object]


def run(effort: Effort) -> Result:
    """Measure all contenders in turns, on one server."""
    size = SIZES[effort]
    result = Result("handoff", "Lease + SELECT 1 + return from a worker process")
    progress(f"{size.rounds} rounds of {size.loops}")
    with _contenders() as contenders:
        times = _measure(contenders, size)
    p50s = {name: [median(part) for part in parts] for name, parts in times.items()}
    if PGBOUNCER in p50s:
        ratio = median_of_ratios(p50s[LEASE], p50s[PGBOUNCER])
        result.at_most("p50: hand-off ÷ PgBouncer", ratio, OF_PGBOUNCER, " ×")
    for peer in (UNIX, TCP):
        ratio = median_of_ratios(p50s[LEASE], p50s[peer])
        result.at_most(f"p50: hand-off ÷ {peer}", ratio, OF_CONNECT, " ×")
    ratio = median_of_ratios(p50s[PARKED], p50s[OPEN])
    result.at_most("p50: parked lease ÷ open connection", ratio, OF_OPEN, " ×")
    for name, parts in times.items():
        result.show(name, _summary(parts), headline=True)
    bouncer.note(result)
    result.raw = {"p50_microseconds": p50s}
    result.notes.append(
        "One worker, one tenant, autocommit; ratios are medians over rounds in which all took"
        " turns. Hand-off: LeaseClient over the Unix socket of a service in another process, with"
        " nothing parked (linger=0): every lease is asked for, and every return wipes the session"
        " before it is lent again. PgBouncer and new connections: psycopg connect, query, close,"
        " over a Unix socket if not said otherwise; TLS and GSS off, no passwords."
    )
    return result


@contextmanager
def _contenders() -> Iterator[dict[str, Contender]]:
    with ExitStack() as stack:
        server = stack.enter_context(postgres())
        dsn = make_conninfo(server.dsn(), **PLAIN)
        tcp = make_conninfo(server.dsn(host=HOST), **PLAIN)
        served = stack.enter_context(service(server.dsn(), CAPACITY))
        found: dict[str, Contender] = {}
        for name, linger in ((LEASE, 0.0), (PARKED, KEPT)):
            client = LeaseClient(served.target, linger=linger, kwargs={"autocommit": True})
            leases: LeaseClient[Any] = stack.enter_context(client)
            found[name] = lambda leases=leases: _lease(leases)  # type: ignore[misc]
        if bouncer.program() is not None:
            through = stack.enter_context(pgbouncer(server, default_pool_size=CAPACITY))
            found[PGBOUNCER] = lambda: _connect(through)
        found[UNIX] = lambda: _connect(dsn)
        found[TCP] = lambda: _connect(tcp)
        conn = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        found[OPEN] = lambda: conn.execute(QUERY)
        yield found


def _lease(leases: LeaseClient[Any]) -> None:
    with leases.connection(TENANT, timeout=5) as conn:
        conn.execute(QUERY)


def _connect(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(QUERY)


def _measure(contenders: dict[str, Contender], size: Size) -> dict[str, list[list[float]]]:
    """Seconds of each time, by round, by contender."""
    for name, contender in contenders.items():
        _times(contender, _loops(name, size))
    found: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for _ in range(size.rounds):
        for name, contender in contenders.items():
            found[name].append(_times(contender, _loops(name, size)))
    return found


def _loops(name: str, size: Size) -> int:
    return max(1, size.loops // SLOW.get(name, 1))


def _times(contender: Contender, loops: int) -> list[float]:
    found = []
    for _ in range(loops):
        started = perf_counter()
        contender()
        found.append(perf_counter() - started)
    return found


def _summary(parts: list[list[float]]) -> str:
    times = [1e6 * time for part in parts for time in part]
    p50, p99 = median(times), quantile(times, 0.99)
    return f"p50 {p50:,.0f} µs, p99 {p99:,.0f} µs"
