"""The HTTP server: where it listens, and how it starts and stops inside the service's loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from tenantpool.errors import ConfigError
from tenantpool.service.tls import Certificates

from .site import Site
from .source import Source

_PLACE = "service.http_port"
_MOST_CONNECTIONS = 250
_LAST_WORDS = 1
"""Seconds for answers that are on their way when it stops."""


class HttpServer:
    """Serves metrics, health checks and the dashboard of *source*."""

    def __init__(self, source: Source, certificates: Certificates | None) -> None:
        self.site = Site(source, is_secure=certificates is not None)
        self._certificates = certificates
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.addresses: list[str] = []
        """Where it listens, as URLs."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(self.addresses) or 'nowhere'}: {self.site!r}>"

    async def start(self, hosts: Iterable[str], port: int) -> None:
        """Listen on TCP *port* (0: any) of all *hosts*. Raises ConfigError if that can't be had."""
        sockets: list[socket.socket] = []
        try:
            for host in hosts:
                # The first host chooses a free port, if that is what was asked for.
                sockets.append(_bound(host, port))
                port = sockets[-1].getsockname()[1]
                self.addresses.append(self._url(host, port))
        except BaseException:
            for bound in sockets:
                bound.close()
            self.addresses.clear()
            raise
        if not sockets:
            return
        self.site.start()
        self._server = _Server(self._config())
        self._task = asyncio.create_task(self._server.serve(sockets), name="tenantpool-http")
        up = asyncio.create_task(self._server.is_up.wait())
        await asyncio.wait({up, self._task}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()

    async def stop(self) -> None:
        """End streams, answer what is under way, and let go of the addresses. Blocks, bounded."""
        await self.site.close()
        task, self._task = self._task, None
        if self._server is not None and task is not None:
            self._server.should_exit = True
            with suppress(asyncio.CancelledError):
                await task
        self.addresses.clear()

    def _url(self, host: str, port: int) -> str:
        scheme = "https" if self._certificates is not None else "http"
        shown = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}.get(host, host)
        return f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}"

    def _config(self) -> uvicorn.Config:
        config = uvicorn.Config(
            self.site.app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            # What a proxy says of its client is looked at by ``access``, which trusts none.
            proxy_headers=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_LAST_WORDS,
        )
        config.load()
        if self._certificates is not None:
            config.ssl = _Current(self._certificates)
        return config


class _Server(uvicorn.Server):
    """A server that leaves signals to the service, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Current(ssl.SSLContext):
    """For each handshake the certificate of that moment."""

    _certificates: Certificates

    def __new__(cls, certificates: Certificates) -> _Current:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._certificates = certificates
        return made

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self._certificates.context().wrap_bio(*arguments, **options)


def _bound(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(
            "0.0.0.0" if host == "*" else host,
            port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE,
        )
        return socket.create_server(found[0][4][:2], family=found[0][0], backlog=128)
    except OSError:
        raise ConfigError(
            _PLACE, f"cannot listen at {host}:{port}", "is another program there? take another one"
        ) from None
