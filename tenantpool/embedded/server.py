"""One embedded server: start, use, stop, and never leave it behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tenantpool.embedded import installation
from tenantpool.embedded.installation import EmbeddedError

StopMode = Literal["smart", "fast", "immediate"]

HOST = "127.0.0.1"
START_TIMEOUT = STOP_TIMEOUT = 30.0  # seconds

# Below the ephemeral ports: no outgoing connection takes the port while we restart.
PORTS = range(20000, 32000)

SIGNALS: Mapping[StopMode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

# Commits still survive a crash of the server, as the kernel has them; not one of the machine.
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """A PostgreSQL server of our own, for tests and demos; a context manager.

    It listens on a Unix socket and, unless ``tcp=False``, on a free port of 127.0.0.1. Every local
    user is let in as superuser without a password. It ends with the block, and with the process
    however that one ends.

    ``version`` is 16 or 18. ``data_dir`` is filled when it does not exist or is empty, and kept at
    the end; without it the data is temporary. ``settings`` are those of postgresql.conf and may be
    changed between two starts. ``durable=True`` makes commits survive a crash of the machine, at
    their usual price. In the child of a fork, ``stop`` and ``close`` leave the server alone.

    As root, which PostgreSQL refuses to run as, the server runs as ``nobody``: that account gets
    ``data_dir``, and must be able to reach it. Methods block, and raise EmbeddedError. An object
    is for one thread at a time.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        version: int = 18,
        settings: Mapping[str, str] | None = None,
        tcp: bool = True,
        durable: bool = False,
    ) -> None:
        self.version = version
        self.settings = dict(settings or {})
        self.tcp = tcp
        self.durable = durable
        self.port = _free_port()
        self._binaries = installation.binaries(version)
        self._home = installation.new_folder()
        self._pid_file = self._home / installation.PID_FILE
        self.data_dir = data_dir.absolute() if data_dir else self._home / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def __repr__(self) -> str:
        state = f"running, pid {self.pid}" if self.running else "stopped"
        return f"<EmbeddedPostgres {self.version}: {state}, port {self.port}>"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the postmaster. Raises EmbeddedError when the server is stopped."""
        if self._process is None:
            raise EmbeddedError("the embedded PostgreSQL is not running")
        return self._process.pid

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket: what libpq takes as ``host``."""
        return self._home

    @property
    def log(self) -> Path:
        """What the server wrote, all starts together; removed by ``close``."""
        return self._home / "log"

    # Life

    def start(self) -> None:
        """Start the server and wait until it accepts connections. Does nothing while it runs."""
        if self.running:
            return
        self._reap()
        self._prepare_data()
        program = self._binaries / "postgres"
        with self.log.open("ab") as log:
            self._process = installation.spawn(
                [program, "-D", self.data_dir, *self._options()], stdout=log, stderr=log
            )
        self._pid_file.write_text(f"{self._process.pid}\n")
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop("immediate")
            raise

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server and keep its data. Does nothing when it is stopped.

        ``smart`` waits for the clients to leave, ``fast`` ends their sessions, ``immediate`` is
        like a crash: the next start recovers. A server that needs more than STOP_TIMEOUT is killed.
        """
        if self._process is None or self._is_inherited:
            return
        self._process.send_signal(SIGNALS[mode])
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise EmbeddedError(f"PostgreSQL did not stop in {STOP_TIMEOUT:g} s") from None
        finally:
            self._reap()

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop, and start again on the same port with the current ``settings``."""
        self.stop(mode)
        self.start()

    def close(self) -> None:
        """Stop the server and remove everything temporary. It cannot be started again."""
        if self._is_inherited:
            return
        try:
            self.stop()
        finally:
            shutil.rmtree(self._home, ignore_errors=True)

    @property
    def _is_inherited(self) -> bool:
        """Whether this is the child of a fork: the server and its files are the parent's."""
        return os.getpid() != self._owner

    def _reap(self) -> None:
        """Forget the process, which has ended or is about to."""
        if self._process:
            self._process.wait()
            self._pid_file.unlink(missing_ok=True)
            self._process = None

    def _prepare_data(self) -> None:
        if (self.data_dir / "PG_VERSION").exists():
            return
        if not self.data_dir.exists():
            self.data_dir.mkdir(parents=True)
        installation.give_away(self.data_dir)
        self.data_dir.chmod(0o700)
        installation.run(["cp", "-Rp", f"{installation.template(self.version)}/.", self.data_dir])
        if self.durable:
            installation.run([self._binaries / "initdb", "--sync-only", "-D", self.data_dir])

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": HOST if self.tcp else "",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            **({} if self.durable else NOT_DURABLE),
            **self.settings,
        }
        return [f"--{name}={value}" for name, value in settings.items()]

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready(process.pid):
            if process.poll() is not None:
                raise EmbeddedError(f"PostgreSQL did not start:\n{self._log_tail()}")
            if time.monotonic() > deadline:
                raise EmbeddedError(f"no start within {START_TIMEOUT:g} s:\n{self._log_tail()}")
            time.sleep(0.01)

    def _is_ready(self, pid: int) -> bool:
        """Ask postmaster.pid, as pg_ctl does: line 1 is the process, line 8 its state."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    # Use

    def dsn(self, dbname: str = "postgres", **params: Any) -> str:
        """Return a conninfo string. It names the Unix socket; ``host=HOST`` takes TCP instead."""
        where = {"host": self.socket_dir, "port": self.port, "user": installation.SUPERUSER}
        return make_conninfo("", **{**where, "dbname": dbname, **params})

    def execute(
        self, statement: str, params: Sequence[Any] | None = None, *, dbname: str = "postgres"
    ) -> list[tuple[Any, ...]]:
        """Run a statement as superuser on a new connection; return its rows, if it gives any."""
        with psycopg.connect(self.dsn(dbname), autocommit=True) as conn:
            cursor = conn.execute(statement.encode(), params)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str) -> None:
        """Create an empty database, in some 20 ms. Raises psycopg.errors.DuplicateDatabase."""
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)).as_string())


def _free_port() -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise EmbeddedError(f"found no free port between {PORTS.start} and {PORTS.stop}")
