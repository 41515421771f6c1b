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
    """Carries a conversation. One task reads; it also writes what is answered at once.

    Another task is only needed for what is said later, so an idle stream has none.
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
        self._is_writing = False
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
        """Let a write that is under way end: gRPC may lose the status of a call that is cut off."""
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
        if self._is_writing:
            self._conversation.hear(request)
            return
        self._is_writing = True
        self._conversation.hear(request)
        await self._flush()

    def _say(self, response: SessionResponse, carried: socket.socket | None) -> None:
        assert carried is None
        self._unsent.append(response)
        if len(self._unsent) > _MOST_UNSENT:
            self._end(BadRequest("the worker does not read"))
        if not self._is_writing:
            self._is_writing = True
            self._writer = asyncio.create_task(self._flush_later())

    def _end(self, error: TenantpoolError) -> None:
        if self._error is None and self._reader is not None:
            self._error = error
            self._reader.cancel()

    async def _flush(self) -> None:
        try:
            while self._unsent:
                await self._write(self._unsent.popleft())
        finally:
            self._is_writing = False

    async def _flush_later(self) -> None:
        try:
            await self._flush()
        except Exception as error:
            logger.debug("a session's stream broke: %s", error)  # its reader ends it
