"""PgBouncer from the system's packages: the peer of the lease service."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from psycopg.conninfo import make_conninfo

from benchmarks.measure import Result, progress
from tenantpool.embedded import EmbeddedPostgres, installation

PGBOUNCER = "PgBouncer"
MISSING = "skipped: PgBouncer is not installed (apt install pgbouncer)"
PLAIN = {"sslmode": "disable", "gssencmode": "disable"}
"""For libpq: both cost a round trip, and GSS milliseconds, where nothing is to be encrypted."""

_PORT = 6543
_START_TIMEOUT = 10.0


@cache
def program() -> str | None:
    """Where it is, or None."""
    folders = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    return shutil.which("pgbouncer", path=folders)


def version() -> str:
    """As it names itself."""
    found = program()
    assert found is not None
    done = subprocess.run([found, "--version"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split("\n")[0]


def note(result: Result) -> None:
    """Say which one was measured, or that there is none."""
    if program() is None:
        progress(MISSING)
        result.show("beside PgBouncer", MISSING)
    else:
        result.notes.append(f"{version()}, in session mode, which runs DISCARD ALL at each return.")


@contextmanager
def pgbouncer(
    server: EmbeddedPostgres, users: Iterable[str] = (), **settings: object
) -> Iterator[str]:
    """Run it in front of *server*, on a Unix socket; the conninfo of the database ``postgres``.

    In session mode, as *settings* say otherwise what is default. *users* may come besides the
    superuser, nobody needs a password.
    """
    found = program()
    assert found is not None
    folder = installation.new_folder()
    config = folder / "pgbouncer.ini"
    config.write_text(_ini(server, folder, settings))
    known = (installation.SUPERUSER, *users)
    (folder / "users").write_text("".join(f'"{user}" ""\n' for user in known))
    null = subprocess.DEVNULL
    process = installation.spawn([found, str(config)], stdout=null, stderr=null)
    try:
        _wait(process, folder)
        yield make_conninfo(
            host=str(folder), port=_PORT, user=installation.SUPERUSER, dbname="postgres", **PLAIN
        )
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _ini(server: EmbeddedPostgres, folder: Path, settings: dict[str, object]) -> str:
    everything = {
        "listen_addr": "",
        "listen_port": _PORT,
        "unix_socket_dir": folder,
        "auth_type": "trust",
        "auth_file": folder / "users",
        "pool_mode": "session",
        "max_client_conn": 1000,
        "logfile": folder / "log",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in everything.items()]
    where = f"* = host={server.socket_dir} port={server.port}"
    return "\n".join(["[databases]", where, "[pgbouncer]", *lines, ""])


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
            probe.connect(str(folder / f".s.PGSQL.{_PORT}"))
            return
        if process.poll() is not None or time.monotonic() > deadline:
            log = folder / "log"
            said = log.read_text() if log.exists() else ""
            raise RuntimeError(f"PgBouncer did not start:\n{said}")
        time.sleep(0.02)
