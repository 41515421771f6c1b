"""How much one service process can lend, and what workers cost it that only sit there."""

from __future__ import annotations

import resource
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.bare_grpc import bare_grpc
from benchmarks.crew import Found, crew
from benchmarks.measure import Effort, Result, postgres, progress, quantile
from benchmarks.served import TENANT, Served, service
from benchmarks.wire import Pass, connect_to_gateway
from tenantpool.embedded import EmbeddedPostgres

SESSION_TARGET = 5000
UNARY_TARGET = 2500
SESSION_BYTES = 64
CLIENT_BYTES = 32
"""KiB."""

PATIENCE = 600.0
"""Seconds for which sessions live without heartbeats, and requests wait."""
RESERVE = 1000
"""File descriptors for everything else."""
KIB = 1024
_LONGEST_FILL = 30.0
"""Seconds."""

BUSY = {
    "hand-off": "session over the Unix channel, sockets handed over, sessions wiped",
    "channel": "session over the Unix channel, messages only",
    "stream": "session over gRPC, messages only",
    "unary": "unary calls, messages only",
}
OVER_GRPC = ("stream", "unary")


@dataclass(frozen=True, slots=True)
class Size:
    """*tasks* in each of *processes* lease for *seconds*; *idle* sessions and clients sit there,
    and *ready* clients that have a connection."""

    processes: int
    tasks: int
    warmup: float
    seconds: float
    pause: float
    idle: int
    ready: int
    connecting: float


SIZES = {
    Effort.FULL: Size(
        processes=8,
        tasks=25,
        warmup=1.5,
        seconds=3.0,
        pause=0.2,
        idle=5000,
        ready=1000,
        connecting=7.0,
    ),
    Effort.QUICK: Size(
        processes=8,
        tasks=25,
        warmup=1.0,
        seconds=2.0,
        pause=0.2,
        idle=1000,
        ready=100,
        connecting=4.0,
    ),
    Effort.TINY: Size(
        processes=2, tasks=2, warmup=0.2, seconds=0.2, pause=0.05, idle=4, ready=4, connecting=0.2
    ),
}


def run(effort: Effort) -> Result:
    """First the rates, then the memory, of one new service process after the other."""
    size = SIZES[effort]
    workers = size.processes * size.tasks
    result = Result("service_rate", f"One service process, {workers} concurrent workers")
    with postgres(max_connections=max(workers, size.ready) + 50) as server:
        with _patient_service(server, workers) as served:
            for mode, what in BUSY.items():
                progress(what)
                _report_rate(result, mode, what, _lease(served, mode, size, pause=0.0))
                if mode in OVER_GRPC:
                    progress("... of a bare gRPC server")
                    with bare_grpc() as bare:
                        _report_bare(result, mode, _lease(bare, mode, size, pause=0.0))
            rate = workers / size.pause
            progress(f"{rate:,.0f} leases per second")
            _report_waits(result, rate, _lease(served, "hand-off", size, pause=size.pause))
        _measure_idle(result, server, size)
    result.notes.append(
        f"Busy: {size.processes} processes of {size.tasks} workers each, all for one tenant with"
        f" {workers} connections, so that nobody waits for PostgreSQL. A lease is an acquire and a"
        " return. CPU time is that of the service process alone, in the kernel too; 1 s of it"
        " divided by that of a lease is the rate per core. The workers and PostgreSQL share the"
        " machine with it, so the rates as such are those of this machine. Messages only: nobody"
        " connects with the lease, so PostgreSQL has nothing to do. The bare server speaks the same"
        " messages to the same workers, grants everything at once and keeps no books: it is what"
        " grpcio costs on this machine, right after the service was measured."
    )
    result.notes.append(
        "Idle: growth of the service's resident memory with all of them there, divided by their"
        " number. A session over the Unix channel has two channels, as LeaseClient has; one over"
        " gRPC has a connection of its own. A client of the gateway that waits has proved who it is"
        " with its session's pass and waits for a connection; one that is ready has got one, from a"
        " pool that was full before, and says nothing."
    )
    return result


# -- busy ------------------------------------------------------------------------------------------


def _lease(served: Served, mode: str, size: Size, pause: float) -> Found:
    spec = {"folder": str(served.folder), "tasks": size.tasks, "pause": pause}
    function = f"benchmarks.rate_load:{mode.replace('-', '_')}"
    return crew(
        function, size.processes, spec, warmup=size.warmup, seconds=size.seconds, served=served
    )


def _report_rate(result: Result, mode: str, what: str, found: Found) -> None:
    times = [time for part in found.workers for time in part]
    leases = max(1, len(times))
    cpu = found.cpu_seconds / leases
    per_core = 1 / cpu if cpu else 0.0
    target = UNARY_TARGET if mode == "unary" else SESSION_TARGET
    what = f"{what}: leases per second and core"
    result.holds(what, f"{per_core:,.0f}", f"≥ {target:,}", per_core >= target)
    p50, p99 = (1000 * quantile(times, q) for q in (0.5, 0.99))
    rate = leases / found.seconds
    result.show(
        "... CPU of a lease; here",
        f"{1e6 * cpu:.0f} µs; {rate:,.0f}/s, granted after p50 {p50:.1f} ms, p99 {p99:.1f} ms",
    )
    result.raw[mode] = {
        "cpu_microseconds": 1e6 * cpu,
        "per_second": rate,
        "p50_ms": p50,
        "p99_ms": p99,
    }


def _report_bare(result: Result, mode: str, found: Found) -> None:
    leases = max(1, sum(map(len, found.workers)))
    cpu = found.cpu_seconds / leases
    ours = result.raw[mode]["cpu_microseconds"]
    per_core = 1 / cpu if cpu else 0.0
    result.show(
        "... of a bare gRPC server that only answers",
        f"{per_core:,.0f} per core, {1e6 * cpu:.0f} µs; the service adds {ours - 1e6 * cpu:.0f} µs",
    )
    result.raw[mode]["bare_cpu_microseconds"] = 1e6 * cpu


def _report_waits(result: Result, rate: float, found: Found) -> None:
    times = [time for part in found.workers for time in part]
    p50, p99 = (1000 * quantile(times, q) for q in (0.5, 0.99))
    achieved = len(times) / found.seconds
    result.show(
        f"hand-off, at most {rate:,.0f} per second",
        f"{achieved:,.0f}/s, granted after p50 {p50:.2f} ms, p99 {p99:.2f} ms",
    )
    result.raw["paced"] = {"per_second": achieved, "p50_ms": p50, "p99_ms": p99}


# -- idle ------------------------------------------------------------------------------------------


def _measure_idle(result: Result, server: EmbeddedPostgres, size: Size) -> None:
    for mode, what, descriptors in (
        ("idle_channels", "session over the Unix channel", 2),
        ("idle_streams", "session over gRPC", 1),
    ):
        progress(f"idle: {what}")
        count = min(size.idle, _descriptors() // descriptors)
        with _patient_service(server, 1) as served:
            found = _idle(served, mode, count, size, {})
        _report_idle(result, f"memory of an idle {what}", SESSION_BYTES, found)
    for is_ready, what in ((False, "that waits"), (True, "that is ready")):
        progress(f"idle: client of the gateway {what}")
        capacity = size.ready if is_ready else 1
        count = size.ready if is_ready else min(size.idle, _descriptors())
        with ExitStack() as stack:
            served = stack.enter_context(_patient_service(server, capacity, min_size=capacity))
            way = stack.enter_context(Pass(served)).way(TENANT)
            spec = {"user": way.user, "ticket": way.ticket, "ready": is_ready}
            first = stack.enter_context(connect_to_gateway(served, way))
            if is_ready:
                first.close()
                _wait_for_backends(server, capacity)
            found = _idle(served, "idle_clients", count, size, spec)
        _report_idle(result, f"memory of a gateway client {what}", CLIENT_BYTES, found)


def _wait_for_backends(server: EmbeddedPostgres, count: int) -> None:
    """Until the pool is full."""
    deadline = time.monotonic() + _LONGEST_FILL
    ask = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
    while server.execute(ask)[0][0] < count and time.monotonic() < deadline:
        time.sleep(0.1)


def _patient_service(
    server: EmbeddedPostgres, capacity: int, min_size: int = 0
) -> AbstractContextManager[Served]:
    """With *capacity* connections to lend; it needs one itself."""
    return service(
        server.dsn(),
        capacity + 1,
        database={"connect_concurrency": 20},
        tier={"min_size": min_size, "acquire_timeout": PATIENCE, "max_waiting": 100_000},
        rules={"session_ttl": PATIENCE},
    )


def _idle(
    served: Served, mode: str, count: int, size: Size, spec: dict[str, Any]
) -> tuple[int, int]:
    """How many there were, and the bytes by which the service has grown."""
    spec = {**spec, "folder": str(served.folder), "each": count // size.processes}
    function = f"benchmarks.rate_load:{mode}"
    found = crew(
        function,
        size.processes,
        spec,
        warmup=size.connecting,
        seconds=min(0.5, size.seconds),
        served=served,
    )
    return sum(found.workers), found.grown_bytes


def _report_idle(result: Result, what: str, target: float, found: tuple[int, int]) -> None:
    count, grown = found
    each = grown / KIB / max(1, count)
    result.at_most(f"{what}, {count:,} of them", each, target, " KiB")
    result.raw[what] = {"count": count, "bytes": grown}


def _descriptors() -> int:
    """How many the service may have, after asking the system for as many as it allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - RESERVE if most != resource.RLIM_INFINITY else 1_000_000
