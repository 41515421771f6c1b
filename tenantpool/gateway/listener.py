"""Where clients of PostgreSQL come in: TCP and Unix sockets, and all who came through them."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from tenantpool.errors import ConfigError

from .client import Client, Rules
from .exchange import Exchange
from .relays import Relays

_BACKLOG: Final = 1024
_PLACE: Final = "service.gateway_port"


class Gateway:
    """Speaks PostgreSQL with clients and joins them to the lines of *exchange*.

    *tls* gives the certificate to show, for each handshake anew; with *require_tls* TCP clients
    without TLS are turned away. *admits* says which users (uid) may use the Unix socket. A client
    has *startup_timeout* seconds to prove who it is, and *max_startups* may be about that at a
    time; waiting for a connection is neither limited nor counted here.

    Belongs to the event loop that it listens in.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
        require_tls: bool = False,
        admits: Callable[[int], bool] = lambda uid: uid == os.geteuid(),
        startup_timeout: float = 10.0,
        max_startups: int = 1000,
    ) -> None:
        self.relays = Relays()
        self._exchange = exchange
        self._rules = Rules(tls, require_tls, admits, startup_timeout, max_startups)
        self._servers: list[asyncio.Server] = []
        self._paths: list[tuple[Path, int]] = []  # with the inode: the file may be another's
        self._clients: set[Client] = set()
        self._starting: set[Client] = set()
        self._empty = asyncio.Event()
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._servers)} sockets"
        counts = f"{len(self._clients)} clients, {len(self._starting)} of them starting"
        return f"<{type(self).__name__} {state}, {counts}, {self.relays!r}>"

    def adopt(self, *, startup_timeout: float, max_startups: int) -> None:
        """Let these hold for clients that come from now on. Does not block."""
        self._rules = replace(
            self._rules, startup_timeout=startup_timeout, max_startups=max_startups
        )

    async def listen_tcp(self, host: str, port: int) -> int:
        """Listen at *host*, which may be a name; return the port, which is free if *port* is 0.

        Raises ConfigError if that is not possible.
        """
        loop = asyncio.get_running_loop()
        bound = None if host == "*" else host
        try:
            server = await loop.create_server(
                lambda: self._welcome(is_local=False), bound, port, backlog=_BACKLOG
            )
        except OSError as error:
            raise ConfigError(
                _PLACE, f"cannot listen at {host}, port {port}: {error.strerror}", "take another"
            ) from None
        self._servers.append(server)
        self.relays.start()
        return int(server.sockets[0].getsockname()[1])

    async def listen_unix(self, folder: Path, port: int) -> int:
        """Listen at the Unix socket that libpq looks for in *folder*; return its port.

        A *port* of 0 is the first for which there is no file. The file of a process that has
        ended is replaced. Raises ConfigError if somebody listens there already.
        """
        if port == 0:
            port = next(n for n in range(1, 65536) if not _path(folder, n).exists())
        path = _path(folder, port)
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _bind(end, path)
            server = await asyncio.get_running_loop().create_unix_server(
                lambda: self._welcome(is_local=True), sock=end, backlog=_BACKLOG
            )
        except BaseException:
            end.close()
            raise
        self._paths.append((path, path.stat().st_ino))
        self._servers.append(server)
        self.relays.start()
        return port

    async def close(self) -> None:
        """Listen no more, and cut everybody off. Blocks until all are gone; again does nothing."""
        self._is_closed = True
        for server in self._servers:
            server.close()
        for path, inode in self._paths:
            with suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    path.unlink()
        for client in tuple(self._clients):
            client.abort()
        while self._clients:
            self._empty.clear()
            await self._empty.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()
        self._paths.clear()
        self.relays.close()

    def _welcome(self, *, is_local: bool) -> asyncio.Protocol:
        return Client(self, self._exchange, self._rules, is_local=is_local).protocol

    # -- what its clients say ------------------------------------------------------------------

    def enter(self, client: Client) -> bool:
        """It has connected; return whether it may begin to start up."""
        self._clients.add(client)
        if self._is_closed or len(self._starting) >= self._rules.max_startups:
            return False
        self._starting.add(client)
        return True

    def proved(self, client: Client) -> None:
        """It has proved who it is."""
        self._starting.discard(client)

    def leave(self, client: Client) -> None:
        """Its connection is closed, and nothing is under way for it."""
        self._clients.discard(client)
        self._starting.discard(client)
        if not self._clients:
            self._empty.set()


def _path(folder: Path, port: int) -> Path:
    return folder / f".s.PGSQL.{port}"


def _bind(end: socket.socket, path: Path) -> None:
    try:
        _remove_if_dead(path)
        end.bind(str(path))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            _PLACE, f"cannot listen at {path}: {reason}", "name another folder or port"
        ) from None
    # Who may come is decided by the folder and by who they are, not by our umask.
    path.chmod(0o777)


def _remove_if_dead(path: Path) -> None:
    """Remove the socket of a process that is gone. Raises ConfigError if it is alive."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(0, "there is a file that is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
                return
            except BlockingIOError:
                pass  # it is too busy to answer, so it lives
        raise ConfigError(
            _PLACE, f"another process listens at {path}", "stop it, or take another port"
        )
