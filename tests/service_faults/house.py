"""The lease service in a process of its own, that can be killed, and asked for its books.

Run as a program, it is that process: it serves until its input ends, and answers each line of it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvloop

from tenantpool.config import Settings
from tenantpool.embedded import HOST, EmbeddedPostgres
from tenantpool.service.server import Server
from tests.stress.crowd import ADMITTED, CAPACITY, WORKER, crowd
from tests.support.wait import wait_until

TOKEN = "a-token-of-the-workers"
LENDABLE = CAPACITY - 1
"""One connection is the attendant's."""
SESSION_TTL = 1.5
GRACE = 0.3

_START = 30.0


class House:
    """Starts the service in *folder* over *server*; ends it with the block.

    *conninfo* is another way to the server.
    """

    def __init__(self, folder: Path, server: EmbeddedPostgres, *, conninfo: str = "") -> None:
        self.folder = folder
        self.grpc_port, self.gateway_port = _free_ports(2)
        self.advertised_port = self.gateway_port
        """The gateway's port that leases name."""
        self.fresh: dict[str, Any] = {}
        """Its books when it had just started."""
        made = crowd(server, close_timeout=1.0).model_dump(mode="json")
        self._settings: dict[str, Any] = {
            "databases": {"main": made["databases"]["main"]},
            "tiers": {"basic": {"cap": 5, "min_size": 0, "acquire_timeout": 20.0}},
            "tenants": {name: made["tenants"][name] for name in ADMITTED},
            "template": {"enabled": False},
            "sweep_interval": 0.05,
            "service": {
                "folder": str(folder),
                "state": None,
                "listen": [HOST],
                "grpc_port": self.grpc_port,
                "gateway_port": self.gateway_port,
                "http_port": None,
                "session_ttl": SESSION_TTL,
                "lease_ttl": SESSION_TTL,
                "lease_grace": GRACE,
                "confirm_within": 2.5,
                "startup_timeout": 1.0,
                "identities": {"worker": {"token": TOKEN, "tenants": ["*"], "direct": True}},
            },
        }
        where = conninfo or server.dsn(user=WORKER)
        self._settings["databases"]["main"]["conninfo"] = where
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._process and self._process.pid}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    # -- life ----------------------------------------------------------------------------------

    @property
    def unix(self) -> str:
        """Where workers of this host find it."""
        return f"unix:{self.folder}"

    @property
    def tcp(self) -> str:
        """Where workers of other hosts find it."""
        return f"{HOST}:{self.grpc_port}"

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None, "the service does not run"
        return self._process

    def start(self) -> None:
        """Start it, if it does not run. Blocks until it lends."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, json.dumps(self._settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("TENANTPOOL_")},
            )
            self.fresh = json.loads(self._answer())
            self.ask("advertise", self.advertised_port)

    def stop(self) -> None:
        """Shut it down in an orderly way."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate(timeout=_START)

    def kill(self) -> None:
        """As with kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.stop()

    # -- asking --------------------------------------------------------------------------------

    def books(self) -> dict[str, Any]:
        """What it knows of slots, leases and sessions, and has of descriptors, tasks and memory."""
        books: dict[str, Any] = self.ask("books")
        return books

    def ask(self, *order: Any) -> Any:
        """Let it carry out an order; return the answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the service has ended with {self.process.wait()}"
        return line

    # -- what must be true ---------------------------------------------------------------------

    def is_at_rest(self) -> bool:
        """Nobody has anything, and nothing is under way."""
        books = self.books()
        busy = ("leases", "sessions", "clients", "waiting", "taken", "opening", "in_use")
        return not any(books[name] for name in (*busy, "resetting", "closing"))

    def check(self, backends: Callable[[], list[Any]]) -> None:
        """Every slot is accounted for and can be lent, and an idle service keeps nothing.

        *backends* lists them, as PostgreSQL sees them.
        """
        wait_until(self.is_at_rest, 20, what=f"rest: {self.books()}")
        # A connection that was lost while it was idle has its slot until somebody wants to use it.
        assert len(backends()) <= self.books()["used"]
        wait_until(lambda: self.ask("lend", LENDABLE) == "", 20, what="every slot to be lent")
        assert self.books()["used"] == len(backends()) == LENDABLE
        self.ask("evict")
        wait_until(lambda: self.books()["used"] == 0, what="the end of idle connections")
        # Through a proxy, the end of file may be the proxy's.
        wait_until(lambda: not backends(), what="the end of backends that are not in the books")
        kept = ("tasks", "descriptors", "husks")
        wait_until(
            lambda: all(self.books()[name] <= self.fresh[name] for name in kept),
            what=f"nothing more than {self.fresh}, at first {self.books()}",
        )


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Program:
    """The process."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def run(self) -> None:
        orders = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        await self._server.start()
        self._say(self.books())
        while line := await orders.readline():
            await self._obey(*json.loads(line))
        await self._server.stop(0.2)

    def _say(self, answer: Any) -> None:
        print(json.dumps(answer), flush=True)

    async def _obey(self, order: str, *values: Any) -> None:
        match order, *values:
            case ("books",):
                self._say(self.books())
            case "lend", count:
                self._say(await self.lend(count))
            case ("evict",):
                for name in self._server.settings.tenants:
                    self._server.manager.evict(name)
                self._say(True)
            case "revoke", tenant, drain_within:
                self._say(self._server.desk.ledger.revoke(f"{tenant}/", drain_within, "for a test"))
            case "advertise", port:
                for address in self._server.gateways:
                    if not address.host.startswith("/"):
                        address.port = port
                self._say(True)

    async def lend(self, count: int) -> str:
        """Use *count* connections at once; return what went wrong."""
        manager = self._server.manager
        try:
            async with AsyncExitStack() as stack:
                for number in range(count):
                    tenant = ADMITTED[number % len(ADMITTED)]
                    conn = await stack.enter_async_context(manager.connection(tenant, timeout=10))
                    await conn.execute("select 1")
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def books(self) -> dict[str, Any]:
        server = self._server
        desk, stats = server.desk, server.manager.stats().databases["main"]
        slots = ("opening", "idle", "in_use", "resetting", "closing")
        return {
            **{name: getattr(stats, name) for name in (*slots, "used", "waiting", "capacity")},
            "lent": desk.ledger._lent,
            "leases": len(desk.ledger.loans),
            "taken": desk.admission.taken(server.guard.on_unix(os.geteuid(), TOKEN)),
            "sessions": len(desk.sessions.workers),
            "husks": len(desk.switchboard._keys._keys),
            "clients": len(server.gateway._clients),
            "tasks": len(asyncio.all_tasks()),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "memory": _memory(),
        }


def _memory() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    uvloop.run(Program(Server(Settings(**json.loads(sys.argv[1])))).run())
