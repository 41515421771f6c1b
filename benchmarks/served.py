"""The lease service as a process of its own, and what that process needs of the machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TENANT = "acme"
GATEWAY_PORT = 6432
_START_TIMEOUT = 20.0
_STOP_TIMEOUT = 20.0
_CPU_UNIT = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs; *folder* is that of its Unix sockets."""

    folder: Path
    pid: int

    @classmethod
    def of(cls, pid: int) -> Served:
        """One that another process has started, to see what it uses."""
        return cls(Path(), pid)

    @property
    def target(self) -> str:
        """What LeaseClient takes."""
        return f"unix:{self.folder}"

    @property
    def channel(self) -> str:
        """The Unix channel."""
        return f"{self.folder}/session.sock"

    @property
    def gateway(self) -> str:
        """The gateway's Unix socket."""
        return f"{self.folder}/.s.PGSQL.{GATEWAY_PORT}"

    @property
    def grpc(self) -> str:
        """What a gRPC channel takes."""
        return f"unix:{self.folder}/grpc.sock"

    def cpu_seconds(self) -> float:
        """CPU time of all threads so far, in the kernel too; counted in hundredths. Linux only."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _CPU_UNIT

    def resident_bytes(self) -> int:
        """Memory that is in RAM now. Linux only."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def service(
    conninfo: str,
    capacity: int,
    *,
    database: dict[str, Any] | None = None,
    tier: dict[str, Any] | None = None,
    template: dict[str, Any] | None = None,
    rules: dict[str, Any] | None = None,
) -> Iterator[Served]:
    """Run ``tenantpool serve``: ``TENANT`` has the database ``postgres`` to itself.

    *template* is for others, *tier* changes the default tier.
    """
    with tempfile.TemporaryDirectory(prefix="tp-") as name:
        folder = Path(name, "run")
        settings = {
            "databases": {"main": {"conninfo": conninfo, "capacity": capacity, **(database or {})}},
            "tiers": {"basic": {"min_size": 0, "cap": capacity, **(tier or {})}},
            "tenants": {TENANT: {"dbname": "postgres"}},
            "template": template or {"enabled": False},
            "service": {
                "folder": str(folder),
                "state": None,
                "listen": [],
                "gateway_port": GATEWAY_PORT,
                "http_port": None,
                "drain_grace": 0.5,
                **(rules or {}),
            },
        }
        config, log = Path(name, "tenantpool.yaml"), Path(name, "log")
        config.write_text(json.dumps(settings))  # which is YAML, too
        command = [sys.executable, "-m", "tenantpool", "serve", "--config", str(config)]
        with log.open("w") as output:
            # In a session of its own, as PgBouncer is: Linux schedules by sessions (autogroup).
            process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
            )
        try:
            _wait(process, folder, log)
            yield Served(folder, process.pid)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], folder: Path, log: Path) -> None:
    """Until all of its sockets are there."""
    served = Served(folder, process.pid)
    paths = (served.channel, served.gateway, served.grpc.removeprefix("unix:"))
    deadline = time.monotonic() + _START_TIMEOUT
    while not all(_listens(path) for path in paths):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the service did not start:\n{log.read_text()}")
        time.sleep(0.02)


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(path)
        return True
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
