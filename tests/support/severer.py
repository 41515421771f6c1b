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
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._cuts = 0
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
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._accept, self._listener)
        self._flowing.set()

    def _accept(self, listener: socket.socket) -> None:
        """Not asyncio's server: a connection that it is about to accept when it closes is lost."""
        try:
            near, _ = listener.accept()
        except OSError:
            return
        near.setblocking(False)
        task = self._loop.create_task(self._link(near, self._cuts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cut(self) -> None:
        self._cuts += 1
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        for end in self._links:
            _reset(end)

    async def _link(self, near: socket.socket, cuts: int) -> None:
        """Forward one connection until either side ends it."""
        reader, writer = await asyncio.open_connection(sock=near)
        ends = {writer}
        self._links.add(writer)
        try:
            if cuts != self._cuts:
                _reset(writer)
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            ends.add(far_writer)
            self._links.add(far_writer)
            if cuts != self._cuts:
                _reset(far_writer)
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
