"""A worker's session over a gRPC stream."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from tenantpool.errors import BadRequest, TenantpoolError
from tenantpool.journal import logger
from tenantpool.v1.session_pb2 import SessionRequest, SessionResponse

from .conversation import Conversation
from .desk import Desk
from .identity import Identity

_MOST_UNSENT = 10_000
"""Messages; a worker that does not read is let go of."""

_LAST_WRITE = 1.0
"""Seconds that a worker has to read what is being written as its session ends."""


class Stream:
    """Carries a conversation. One task reads; another one writes, as long as there is something.

    The reader may be cancelled at any time, and gRPC may lose the status of a call that is cut off
    while it writes: so it never writes itself.
    """

    def __init__(
        self,
        desk: Desk,
        identity: Identity,
        requests: AsyncIterator[SessionRequest],
        write: Callable[[SessionResponse], Awaitable[None]],
    ) -> None:
        self._requests = requests
        self._write = write
        self._patience = desk.rules.startup_timeout
        self._conversation = Conversation(
            desk, self._say, lambda _: identity, self._end, passes_sockets=False
        )
        self._unsent: deque[SessionResponse] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._reader: asyncio.Task[object] | None = None
        self._error: TenantpoolError | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._conversation!r}, {len(self._unsent)} unsent>"

    async def run(self) -> None:
        """Talk until the worker hangs up.

        Raises BadRequest if it does not introduce itself in time, or does not read, and that for
        which the session was ended.
        """
        self._reader = asyncio.current_task()
        try:
            await self._talk()
        except asyncio.CancelledError:
            if self._error is None or self._reader is None:
                raise
            self._reader.uncancel()
            raise self._error from None
        finally:
            self._conversation.hang_up()
            if self._writer is not None:
                await self._finish(self._writer)

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """Let a write that is under way end."""
        self._unsent.clear()
        await asyncio.wait({writer}, timeout=_LAST_WRITE)
        writer.cancel()

    async def _talk(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                first = await anext(self._requests, None)
        except TimeoutError:
            raise BadRequest(f"no Hello within {self._patience:g} s") from None
        if first is None:
            return
        await self._hear(first)
        if self._conversation.is_introduced:
            async for request in self._requests:
                await self._hear(request)

    async def _hear(self, request: SessionRequest) -> None:
        writer = self._writer
        self._conversation.hear(request)
        if self._writer is not None and self._writer is not writer:
            await asyncio.shield(self._writer)  # who does not read is not heard

    def _say(self, response: SessionResponse, carried: socket.socket | None) -> None:
        assert carried is None
        self._unsent.append(response)
        if len(self._unsent) > _MOST_UNSENT:
            self._end(BadRequest("the worker does not read"))
        if self._writer is None:
            self._writer = asyncio.create_task(self._flush())

    def _end(self, error: TenantpoolError) -> None:
        if self._error is None and self._reader is not None:
            self._error = error
            self._reader.cancel()

    async def _flush(self) -> None:
        try:
            while self._unsent:
                await self._write(self._unsent.popleft())
        except Exception as error:
            logger.debug("a session's stream broke: %s", error)  # its reader ends it
        finally:
            self._writer = None
