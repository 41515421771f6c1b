"""A client's connection while it starts up: packets in the order they come, and no more of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

_MOST_AHEAD: Final = 65_536
"""Bytes that a client may send before it is asked for them; none of them need be any."""


class Wire(asyncio.Protocol):
    """The asyncio protocol of the start-up. *begin* and *lost* are called at its ends."""

    __slots__ = ("_begin", "_inbox", "_lost", "_waiter", "transport")

    transport: asyncio.Transport

    def __init__(self, begin: Callable[[], None], lost: Callable[[], None]) -> None:
        self._begin = begin
        self._lost = lost
        self._inbox = bytearray()
        self._waiter: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._inbox)} bytes ahead>"

    @property
    def has_more(self) -> bool:
        """Whether the client has sent more than was read."""
        return bool(self._inbox)

    async def read(self, size: int) -> bytes:
        """The next *size* bytes. Blocks until they are there; cancelled if the client goes away."""
        while len(self._inbox) < size:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        data = bytes(self._inbox[:size])
        del self._inbox[:size]
        return data

    def take_rest(self) -> bytes:
        """What the client has sent ahead."""
        data = bytes(self._inbox)
        self._inbox.clear()
        return data

    async def start_tls(self, context: ssl.SSLContext, timeout: float) -> None:
        """Go on encrypted. Blocks for the handshake; raises OSError if there is none."""
        # Between this and the first byte of the handshake there is no await: nothing gets lost.
        plain, upgraded = self.transport, None
        try:
            upgraded = await asyncio.get_running_loop().start_tls(
                plain, self, context, server_side=True, ssl_handshake_timeout=timeout
            )
        finally:
            # asyncio does not call connection_lost if it is lost now; uvloop seems to succeed.
            if upgraded is None or plain.is_closing():
                plain.abort()
                self._lost()
        if upgraded is None or plain.is_closing():
            raise ConnectionResetError("the client has gone")
        self.transport = upgraded

    # -- what asyncio calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        if len(self._inbox) > _MOST_AHEAD:
            self.transport.abort()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost()
