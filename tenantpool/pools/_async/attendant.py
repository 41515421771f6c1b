"""A connection of tenantpool's own, that looks after what others hold on a server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import psycopg
from psycopg import AsyncConnection, OperationalError

from tenantpool.pools.watch import watched

from .answer import Row, ask
from .witness import AsyncWitness

_IDLE = 3.0
"""Seconds for which it stays when there is nothing to do."""


class AsyncAttendant:
    """Connects when it is asked, and answers one at a time.

    There is never more than one backend of it, also while one ends. Whoever keeps it says
    ``rest`` from time to time, and ``close`` in the end.
    """

    def __init__(self, params: Callable[[], Mapping[str, str]], timeout: float) -> None:
        self._params = params
        self._timeout = timeout
        self._lock = asyncio.Lock()
        self._conn: AsyncConnection[Any] | None = None
        self._witness = AsyncWitness()
        self._used_at = 0.0

    def __repr__(self) -> str:
        state = "connected" if self._conn is not None else "not connected"
        return f"<{type(self).__name__} {state}>"

    async def ask(self, query: str, *values: str | None) -> list[Row]:
        """Run one statement with the *values* of ``$1`` and so on; return its rows, as text.

        Blocks for those before, a connect and a round trip; both are bounded. A connection that
        was lost since the last time is replaced. Raises psycopg.Error.
        """
        async with self._lock:
            had_one = self._conn is not None
            try:
                return await self._ask(query, values)
            except OperationalError:
                await self._part()
                if not had_one:
                    raise
            except psycopg.Error:
                raise
            except BaseException:
                await self._part()  # the answer is still to come
                raise
            return await self._ask(query, values)

    @property
    def is_idle(self) -> bool:
        """Whether it is connected, and had nothing to do for a while. Does not block."""
        return self._conn is not None and monotonic() - self._used_at > _IDLE

    async def rest(self) -> None:
        """Disconnect if it is idle. Blocks until the backend is gone; bounded."""
        async with self._lock:
            if self.is_idle:
                await self._part()

    async def close(self) -> None:
        """Disconnect. Blocks until the backend is gone; bounded."""
        async with self._lock:
            await self._part()
            self._witness.close()

    async def _ask(self, query: str, values: tuple[str | None, ...]) -> list[Row]:
        conn = self._conn or await self._connect()
        rows = await ask(conn.pgconn, monotonic() + self._timeout, query, *values)
        self._used_at = monotonic()
        return rows

    async def _connect(self) -> AsyncConnection[Any]:
        if not await self._witness.wait_until_gone(self._timeout):
            raise OperationalError("the backend of the attendant before does not end")
        with self._witness.watching():
            self._conn = await watched(AsyncConnection).connect(**self._params())
        return self._conn

    async def _part(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()
        await self._witness.wait_until_gone(self._timeout)
