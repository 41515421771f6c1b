"""A real service in a process of its own, for the tests of its clients."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tenantpool.config import Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.insight import Finding
from tenantpool.service.server import Server


class RealService:
    """Runs the service in *folder*, over *dbname*: tenants a and b share 4 connections.

    The tenant c has another database, and d a role of its own, ``tenant_d``, which is not there.
    """

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, dbname: str) -> None:
        self.folder = folder
        self.address = ""
        self.settings: dict[str, Any] = {
            "databases": {"main": {"conninfo": postgres.dsn(), "capacity": 5}},
            "tiers": {"basic": {"cap": 4, "min_size": 0, "acquire_timeout": 20}},
            "tenants": {
                "a": {"dbname": dbname},
                "b": {"dbname": dbname},
                "c": {"dbname": "postgres"},
                "d": {"dbname": dbname, "user": "tenant_d"},
            },
            "template": {"enabled": False},
            "service": {
                "folder": str(folder),
                "state": None,
                "listen": ["127.0.0.1"],
                "grpc_port": 0,
                "gateway_port": 0,
                "http_port": None,
                "session_ttl": 3.0,
                "lease_grace": 0.5,
                "identities": {
                    "worker": {"token": "a-token-of-the-worker", "tenants": ["*"], "direct": True}
                },
            },
        }
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def running(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Blocks until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(self.settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("TENANTPOOL_")},
        )
        self.address = self._answer()

    def stop(self) -> None:
        """Shut it down in an orderly way."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate(timeout=30)

    def kill(self) -> None:
        """As with kill -9."""
        self.running.send_signal(signal.SIGKILL)
        self.stop()

    def revoke(self, prefix: str, drain_within: float, reason: str) -> int:
        """Want leases back; return how many."""
        return int(self._ask(["revoke", prefix, drain_within, reason]))

    def drain(self, tenant: str, timeout: float) -> bool:
        """Drain a tenant; return whether all came back."""
        return bool(json.loads(self._ask(["drain", tenant, timeout])))

    def leases(self) -> int:
        """How many are in use."""
        return int(self._ask(["leases"]))

    def findings(self) -> list[Finding]:
        """What query insight has found."""
        return [Finding(**finding) for finding in json.loads(self._ask(["findings"]))]

    def _ask(self, command: list[Any]) -> str:
        assert self.running.stdin is not None
        self.running.stdin.write(json.dumps(command) + "\n")
        self.running.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self.running.stdout is not None
        line = self.running.stdout.readline()
        assert line, "the service has ended"
        return line.strip()


async def main(settings: str) -> None:
    server = Server(Settings(**json.loads(settings)))
    await server.start()
    print(server.rpc.addresses[-1], flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match json.loads(line):
            case ["revoke", prefix, drain_within, reason]:
                print(server.desk.ledger.revoke(prefix, drain_within, reason), flush=True)
            case ["drain", tenant, timeout]:
                print(json.dumps(await server.manager.drain(tenant, timeout)), flush=True)
            case ["leases"]:
                print(len(server.desk.ledger.loans), flush=True)
            case ["findings"]:
                print(json.dumps([asdict(f) for f in server.findings.findings()]), flush=True)
    await server.stop(0.2)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
