"""What a page of the dashboard that is open costs the service, with many tenants in use."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from statistics import median

from benchmarks.measure import Effort, Result, postgres, progress
from benchmarks.served import Served, service
from benchmarks.wire import Line, frame, hello
from tenantpool.embedded import HOST
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, LeaseRef, ReleaseLeaseRequest
from tenantpool.v1.session_pb2 import SessionRequest

PAGES = ("/", "/tenants")
TARGET = 2.0
"""Percent of a core."""
_PACE = 0.02
"""Seconds between two leases, so that there is something new on every page."""
_SETTLE = 1.5
"""Seconds that a page has to be made for the first time."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many tenants; *rounds* in which each page is open for *seconds*."""

    tenants: int
    rounds: int
    seconds: float


SIZES = {
    Effort.FULL: Size(tenants=10_000, rounds=3, seconds=5.0),
    Effort.QUICK: Size(tenants=10_000, rounds=1, seconds=4.0),
    Effort.TINY: Size(tenants=50, rounds=1, seconds=0.2),
}


def run(effort: Effort) -> Result:
    """Measure the service's CPU time with no page open and with one, in turns."""
    size = SIZES[effort]
    result = Result("dashboard", f"A page of the dashboard, {size.tenants:,} tenants in use")
    parts: dict[str, list[float]] = {page: [] for page in PAGES}
    idle: list[float] = []
    progress(f"{size.tenants:,} tenants")
    with postgres() as server:
        port = _free_port()
        rules = {"http_port": port, "http_listen": [HOST], "session_ttl": 600}
        template = {"dbname": "postgres", "settings": {"app.tenant": "{tenant}"}}
        with (
            service(server.dsn(), 4, template=template, rules=rules) as served,
            Line(served) as line,
            _leases(line, size.tenants),
        ):
            for _ in range(size.rounds):
                nobody = _percent(served, size.seconds)
                idle.append(nobody)
                for page in PAGES:
                    with _open(port, page):
                        time.sleep(min(_SETTLE, size.seconds))
                        parts[page].append(_percent(served, size.seconds) - nobody)
    for page in PAGES:
        found = max(0.0, median(parts[page]))
        result.at_most(f"CPU of the live page {page}, of one core", found, TARGET, " %")
    result.show("CPU of the service without it", f"{median(idle):.1f} %")
    result.raw = {"percent": parts, "idle_percent": idle}
    result.notes.append(
        "A session leases 50 times a second, each time for another of the tenants, all of which"
        " have been served before; the page is read like a browser reads it. CPU time of the"
        " service's process with the page open, less that without, in turns."
    )
    return result


@contextmanager
def _leases(line: Line, tenants: int) -> Iterator[None]:
    """Serve each tenant once, and then one by chance every now and then until the end."""
    line.greet(hello("benchmark"))
    numbers = count(2)
    for tenant in range(tenants):
        _lease(line, next(numbers), tenant)
    chance, is_over = random.Random(1), threading.Event()

    def go_on() -> None:
        while not is_over.wait(_PACE):
            _lease(line, next(numbers), chance.randrange(tenants))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _lease(line: Line, sequence: int, tenant: int) -> None:
    wanted = AcquireLeaseRequest(tenant=f"tenant{tenant}")
    line.socket.sendall(frame(SessionRequest(sequence=sequence, acquire=wanted)))
    lease = line.hear(sequence).acquired.lease
    ref = LeaseRef(lease_id=lease.lease_id, fencing_token=lease.fencing_token)
    line.socket.sendall(frame(SessionRequest(release=ReleaseLeaseRequest(lease=ref))))


@contextmanager
def _open(port: int, page: str) -> Iterator[None]:
    """Keep the page's stream open, and read it in a thread."""
    with closing(HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request("GET", f"/live?view={page}")
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{page}: {response.status} {response.read()!r}")
        sock = connection.sock
        assert sock is not None
        thread = threading.Thread(target=_read, args=(sock.dup(),))
        thread.start()
        yield
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()


def _read(sock: socket.socket) -> None:
    with sock:
        while sock.recv(65536):
            pass


def _percent(served: Served, seconds: float) -> float:
    """How much of a core the service uses over so many seconds."""
    before, started = served.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return 100.0 * (served.cpu_seconds() - before) / (time.monotonic() - started)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
