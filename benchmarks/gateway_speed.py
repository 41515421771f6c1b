"""Queries on a lease that is held: handed over, and through the gateway; beside PgBouncer."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks import bouncer
from benchmarks.bouncer import PGBOUNCER, PLAIN, pgbouncer
from benchmarks.measure import Effort, Result, median_of_ratios, postgres, progress
from benchmarks.served import TENANT, Served, service
from benchmarks.wire import Pass
from tenantpool.client import LeaseClient
from tenantpool.embedded import EmbeddedPostgres, installation

QUERY = b"select abalance from pgbench_accounts where aid = 4711"
CAPACITY = 40
PATIENCE = 600.0
"""Seconds for which the session lives without a heartbeat."""
HAND_OFF_TARGET = 0.98
GATEWAY_TARGET = 1.0

GATEWAY, DIRECT = "gateway", "direct"
_TPS = re.compile(r"^tps = ([\d.]+) \(without initial", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Size:
    """*blocks* of *loops* queries on each connection; *rounds* of pgbench, of *seconds* each."""

    blocks: int
    loops: int
    scale: int
    clients: tuple[int, ...]
    rounds: int
    seconds: int


SIZES = {
    Effort.FULL: Size(blocks=80, loops=500, scale=10, clients=(1, 8, 32), rounds=4, seconds=1),
    Effort.QUICK: Size(blocks=30, loops=300, scale=10, clients=(1, 8, 32), rounds=2, seconds=1),
    Effort.TINY: Size(blocks=2, loops=10, scale=1, clients=(2,), rounds=1, seconds=1),
}

Rates = dict[str, list[float]]
"""Queries per second, in each round, by contender."""


def run(effort: Effort) -> Result:
    """Measure both ways to reach a lease, on one server."""
    size = SIZES[effort]
    result = Result("gateway_speed", "Queries on a lease that is held")
    with ExitStack() as stack:
        server = stack.enter_context(postgres(max_connections=3 * CAPACITY))
        pgbench("-i", "-q", "-s", str(size.scale), conninfo=_direct(server))
        rules = {"session_ttl": PATIENCE}
        served = stack.enter_context(service(server.dsn(), CAPACITY, rules=rules))
        progress("hand-off beside a direct connection")
        handed = _hand_off(server, served, size)
        contenders = {GATEWAY: stack.enter_context(Pass(served)).conninfo(TENANT)}
        if bouncer.program() is not None:
            contenders[PGBOUNCER] = stack.enter_context(
                pgbouncer(server, default_pool_size=CAPACITY)
            )
        contenders[DIRECT] = _direct(server)
        rates = {clients: _pgbench_all(contenders, clients, size) for clients in size.clients}
    _report_hand_off(result, handed)
    for clients, found in rates.items():
        _report_gateway(result, clients, found)
    bouncer.note(result)
    result.raw = {"hand_off": handed, "pgbench": {str(n): found for n, found in rates.items()}}
    result.notes.append(
        f"Hand-off: one psycopg connection each, the same query in {size.blocks} blocks in turns."
        f" Gateway: pgbench -S (scale {size.scale}, simple protocol) in rounds of {size.seconds} s"
        " in turns, everything over Unix sockets; pgbench, PostgreSQL and the proxy share the"
        " machine's cores."
    )
    return result


def _direct(server: EmbeddedPostgres) -> str:
    return make_conninfo(server.dsn(), **PLAIN)


# -- hand-off --------------------------------------------------------------------------------------


def _hand_off(server: EmbeddedPostgres, served: Served, size: Size) -> Rates:
    client = LeaseClient(served.target, kwargs={"autocommit": True})
    with ExitStack() as stack:
        leases: LeaseClient[Any] = stack.enter_context(client)
        lent = stack.enter_context(leases.connection(TENANT, timeout=5))
        assert leases.stats().connects == 1
        open_one = stack.enter_context(psycopg.connect(_direct(server), autocommit=True))
        execute: dict[str, Callable[[bytes], object]]
        execute = {"hand-off": lent.execute, DIRECT: open_one.execute}
        found: Rates = {name: [] for name in execute}
        for one in execute.values():
            _rate(one, size.loops)
        for block in range(size.blocks):
            order = list(execute) if block % 2 else list(reversed(execute))
            for name in order:
                found[name].append(_rate(execute[name], size.loops))
    return found


def _rate(execute: Callable[[bytes], object], loops: int) -> float:
    started = perf_counter()
    for _ in range(loops):
        execute(QUERY)
    return loops / (perf_counter() - started)


def _report_hand_off(result: Result, found: Rates) -> None:
    ratio = median_of_ratios(found["hand-off"], found[DIRECT])
    target = HAND_OFF_TARGET
    what = "hand-off ÷ direct connection, queries per second"
    result.holds(what, f"{ratio:.3f} ×", f"≥ {target:g} ×", ratio >= target)
    rates = ", ".join(f"{name} {median(rates):,.0f}" for name, rates in found.items())
    result.show("queries per second", rates)


# -- gateway ---------------------------------------------------------------------------------------


def _pgbench_all(contenders: dict[str, str], clients: int, size: Size) -> Rates:
    progress(f"pgbench -S with {clients} clients")
    found: Rates = {name: [] for name in contenders}
    jobs = str(min(2, clients))
    options = ["-S", "-n", "-c", str(clients), "-j", jobs, "-T", str(size.seconds)]
    if size.rounds > 1:
        for conninfo in contenders.values():
            pgbench(*options[:-2], "-t", "50", conninfo=conninfo)  # connects, and warms up
    for _ in range(size.rounds):
        for name, conninfo in contenders.items():
            said = pgbench(*options, conninfo=conninfo)
            match = _TPS.search(said)
            if match is None:
                raise RuntimeError(f"pgbench through {name}:\n{said}")
            found[name].append(float(match[1]))
    return found


def pgbench(*options: str, conninfo: str) -> str:
    """Run pgbench of the embedded PostgreSQL; return what it says. Raises RuntimeError."""
    program = installation.binaries(18) / "pgbench"
    done = subprocess.run(
        [program, *options, conninfo],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=installation.ENVIRONMENT,
    )
    if done.returncode:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}")
    return done.stdout


def _report_gateway(result: Result, clients: int, found: Rates) -> None:
    if PGBOUNCER in found:
        ratio = median_of_ratios(found[GATEWAY], found[PGBOUNCER])
        target = GATEWAY_TARGET
        what = f"pgbench -S -c {clients}: gateway ÷ PgBouncer"
        result.holds(what, f"{ratio:.2f} ×", f"≥ {target:g} ×", ratio >= target)
    rates = ", ".join(f"{name} {median(rates):,.0f}" for name, rates in found.items())
    result.show(f"pgbench -S -c {clients}: transactions per second", rates)
