"""A TCP proxy that breaks the network on command."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
CHUNK = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for 0 s: the peer gets RST, not FIN


class Severer:
    """Forwards TCP from ``port`` of 127.0.0.1 to a server; a context manager.

    ``pause()``  nothing passes and nobody is told, as behind a silent firewall; new connections
                 are accepted and hang.
    ``sever()``  resets every connection and refuses new ones.
    ``heal()``   ends both: what was paused goes on.

    It runs in a thread of its own. Orders block until they are carried out.
    """

    def __init__(self, port: int, host: str = HOST) -> None:
        self.port = 0
        self._target = (host, port)
        self._links: set[asyncio.StreamWriter] = set()  # both ends of each
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name="severer")
        self._loop: asyncio.AbstractEventLoop

    def __repr__(self) -> str:
        return f"<Severer {self.port} to {self._target[1]}: {self.connections} connections>"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._order(self._stop.set)
        self._thread.join()

    @property
    def connections(self) -> int:
        """How many connections are forwarded now."""
        return len(self._links) // 2

    def pause(self) -> None:
        self._order(self._flowing.clear)

    def sever(self) -> None:
        self._order(self._cut)

    def heal(self) -> None:
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)

    def _order(self, action: Callable[[], None]) -> None:
        async def carry_out() -> None:
            action()

        asyncio.run_coroutine_threadsafe(carry_out(), self._loop).result(10)

    # In the thread

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._open()
        self._ready.set()
        await self._stop.wait()
        self._cut()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._link, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        self._flowing.set()

    def _cut(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for end in self._links:
            _reset(end)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until either side ends it."""
        ends = {writer}
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ends.add(far_writer)
            self._links |= ends
            pumps = self._pump(reader, far_writer), self._pump(far_reader, writer)
            await asyncio.gather(*pumps)
        except OSError:
            pass
        finally:
            self._links -= ends
            for end in ends:
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        await self._flowing.wait()
        writer.close()


def _reset(end: asyncio.StreamWriter) -> None:
    peer: socket.socket = end.get_extra_info("socket")
    if peer.fileno() >= 0:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    end.transport.abort()
