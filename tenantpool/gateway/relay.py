"""The splice: bytes between a client and the backend of its lease, both ways, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from .framing import Framing
from .protocol import ProtocolViolation
from .refusals import explain

if TYPE_CHECKING:
    from ._splice import Framing as NativeFraming


class Relay(asyncio.Protocol):
    """Joins *client* to a backend, once ``begin`` was called. It is the client's protocol then.

    *on_end(clean)* is called once, when either side has gone; *on_lost()* when the client's
    connection is closed. A side that is slower than the other stops it: what waits for it is
    bounded by the buffers of its transport.

    Every message passes here, so the code is written for speed: callables are looked up once, and
    a message that arrives in one piece, as most do, costs one look at its header.
    """

    __slots__ = ("_backend", "_client", "_framing", "_is_touched", "_on_end", "_on_lost", "_write")

    def __init__(
        self,
        client: asyncio.Transport,
        on_end: Callable[[bool], None],
        on_lost: Callable[[], None],
        framing: Framing | NativeFraming,
    ) -> None:
        self._is_touched = False
        self._client = client
        self._backend: asyncio.Transport | None = None
        self._write: Callable[[bytes], None]
        self._framing = framing
        self._on_end = on_end
        self._on_lost = on_lost

    def __repr__(self) -> str:
        state = "parted" if self._backend is None else repr(self._framing)
        return f"<{type(self).__name__} {state}>"

    async def join(self, backend: socket.socket) -> None:
        """Take a duplicate of the backend's socket. Blocks for a turn of the event loop.

        If it raises OSError or is cancelled, the client and the backend are as they were.
        """
        duplicate = backend.dup()
        duplicate.setblocking(False)
        end = _BackendEnd(self._client, self._framing, self._backend_gone)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: end, duplicate)
        except BaseException:
            duplicate.close()
            raise
        self._backend = transport
        self._write = self._backend.write

    def begin(self, greeting: bytes, ahead: bytes) -> None:
        """Relay from now on; no await may be between ``join`` and this. Raises OSError.

        The client gets *greeting* first; *ahead* is what it has sent so far.
        """
        self._client.set_protocol(self)
        self._client.write(greeting)
        if ahead:
            self.data_received(ahead)

    @property
    def can_interject(self) -> bool:
        """Whether a message of ours would be between the backend's."""
        return self._framing.answers_whole

    def part(self) -> bool:
        """Let go of the backend; the client is left as it is. Again does nothing.

        Return whether the backend is at rest, and got all that the client has sent.
        """
        if self._backend is None:
            return False
        clean = self._framing.is_clean and not self._backend.get_write_buffer_size()
        self._backend.abort()  # closes the duplicate; no shutdown, for others have the socket too
        self._backend = None
        return clean

    def part_if_quiet(self) -> bool:
        """Part if the client has sent nothing, and has got everything; return whether it was so."""
        is_quiet = (
            not self._is_touched
            and self._framing.is_clean
            and not self._client.get_write_buffer_size()
        )
        return is_quiet and self.part()

    # -- what asyncio calls, for the client's end ----------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._backend is None:
            return
        self._is_touched = True
        try:
            data = self._framing.requests(data)
        except ProtocolViolation as error:
            self._refuse(error)
            return
        self._write(data)
        if self._framing.terminated:
            self._end()

    def pause_writing(self) -> None:
        if self._backend is not None:
            self._backend.pause_reading()

    def resume_writing(self) -> None:
        if self._backend is not None:
            self._backend.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            self._end()
        finally:
            self._on_lost()

    # -- the end -------------------------------------------------------------------------------

    def _backend_gone(self) -> None:
        """The client gets what the backend said, and then the end."""
        if self._backend is not None:  # else it was us who left
            self._client.write(self._framing.rest_of_answers())
            self._end(broken=True)

    def _refuse(self, error: ProtocolViolation) -> None:
        if self.can_interject:
            self._client.write(explain(error).encode())
        self._end(broken=True)

    def _end(self, *, broken: bool = False) -> None:
        if self._backend is not None:
            clean = self.part()
            self._on_end(clean and not broken)
            self._client.close()


class _BackendEnd(asyncio.Protocol):
    """The other end of a relay."""

    __slots__ = ("_answers", "_client", "_on_gone", "_write")

    def __init__(
        self,
        client: asyncio.Transport,
        framing: Framing | NativeFraming,
        on_gone: Callable[[], None],
    ) -> None:
        self._client = client
        self._write = client.write
        self._answers = framing.answers
        self._on_gone = on_gone

    def data_received(self, data: bytes) -> None:
        self._write(self._answers(data))

    def pause_writing(self) -> None:
        if not self._client.is_closing():
            self._client.pause_reading()

    def resume_writing(self) -> None:
        if not self._client.is_closing():
            self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_gone()
