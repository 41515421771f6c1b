"""The splice in C: neither the event loop nor the interpreter has a part in what passes.

Its thread owns duplicates of both sockets from the beginning of a lease to its end. The client's
transport stays, but does not read; it gets the last words, and closes the connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from ._splice import Engine
from .protocol import ProtocolViolation
from .refusals import explain


class Splice:
    """The thread, and all that it joins. Belongs to the event loop that it was made in.

    Raises OSError if the thread can't be started.
    """

    def __init__(self) -> None:
        self.engine = Engine()
        self.joined: dict[int, Spliced] = {}
        """By the engine's key."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.engine.fileno(), self._reap)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.joined)} joined>"

    def relay(
        self,
        client: asyncio.Transport,
        on_end: Callable[[bool], None],
        on_lost: Callable[[], None],
    ) -> Spliced:
        """See ``Relay``."""
        return Spliced(self, client, on_end, on_lost)

    def close(self) -> None:
        """End the thread. Nobody is joined any more."""
        self._loop.remove_reader(self.engine.fileno())
        self.engine.close()

    def _reap(self) -> None:
        for key in self.engine.ended():
            if (ended := self.joined.get(key)) is not None:  # else it was parted meanwhile
                ended.end()


class Spliced(asyncio.Protocol):
    """Joins *client* to a backend in *splice*; what a ``Relay`` does, and how, is the same."""

    __slots__ = (
        "_backend",
        "_client",
        "_key",
        "_on_end",
        "_on_lost",
        "_splice",
        "_violation",
        "can_interject",
    )

    def __init__(
        self,
        splice: Splice,
        client: asyncio.Transport,
        on_end: Callable[[bool], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.can_interject = True
        """Whether a message of ours would be between the backend's: known once it is parted."""
        self._splice = splice
        self._client = client
        self._on_end = on_end
        self._on_lost = on_lost
        self._backend: socket.socket
        self._key: int | None = None
        self._violation = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'parted' if self._key is None else 'joined'}>"

    async def join(self, backend: socket.socket) -> None:
        """Be ready to begin. Blocks for a turn of the event loop, if at all; raises OSError."""
        self._backend = backend
        if self._client.get_write_buffer_size():
            await asyncio.sleep(0)  # uvloop writes at the end of a turn
        if self._client.get_write_buffer_size():
            raise BlockingIOError("the client does not take the few bytes of its start-up")

    def begin(self, greeting: bytes, ahead: bytes) -> None:
        """Carry bytes from now on; no await may be between ``join`` and this. Raises OSError.

        The client gets *greeting* first; *ahead* is what it has sent so far.
        """
        if self._client.is_closing():  # whose descriptor may be another's by now
            raise ConnectionResetError("the client has gone")
        client: socket.socket = self._client.get_extra_info("socket")
        engine = self._splice.engine
        self._key = engine.join(client.fileno(), self._backend.fileno(), greeting, ahead)
        self._splice.joined[self._key] = self
        self._client.pause_reading()
        self._client.set_protocol(self)

    def part(self) -> bool:
        """Let go of the backend; the client is left as it is. Again does nothing.

        Return whether the backend is at rest, and got all that the client has sent.
        """
        return self._part(quietly=False) or False

    def part_if_quiet(self) -> bool:
        """Part if the client has sent nothing, and has got everything; return whether it was so."""
        return self._part(quietly=True) is not None

    def end(self) -> None:
        """Part, tell the owner, close the client's connection. Again does nothing."""
        if self._key is None:
            return
        clean = self.part()
        if self._violation and self.can_interject:
            self._client.write(explain(ProtocolViolation(self._violation)).encode())
        self._on_end(clean)
        self._client.close()

    def _part(self, *, quietly: bool) -> bool | None:
        if self._key is None:
            return None
        parting = self._splice.engine.part(self._key, quietly)
        if parting is None:
            return None
        del self._splice.joined[self._key]
        self._key = None
        clean, self.can_interject, self._violation, rest = parting
        if rest and not self._client.is_closing():
            self._client.write(rest)
        return clean

    # -- what asyncio calls, for the client's end ----------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self.end()
        finally:
            self._on_lost()
