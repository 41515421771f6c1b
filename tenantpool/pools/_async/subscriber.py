"""A connection of tenantpool's own that reads tables, and hears when they change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from time import monotonic
from typing import Any

from psycopg import AsyncConnection, OperationalError, sql
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from tenantpool.pools.watch import watched

from .answer import Row, answer, ask, readable
from .witness import AsyncWitness

_BATCH = 500
"""Rows that are passed on together: about a millisecond's work."""


class AsyncSubscriber:
    """Connects when it is told to, and is used by one task at a time.

    There is never more than one backend of it, also while one ends. Every answer has to begin
    within *timeout* seconds.
    """

    def __init__(self, params: Callable[[], Mapping[str, str]], timeout: float) -> None:
        self._params = params
        self._timeout = timeout
        self._conn: AsyncConnection[Any] | None = None
        self._witness = AsyncWitness()

    def __repr__(self) -> str:
        state = "connected" if self._conn is not None else "not connected"
        return f"<{type(self).__name__} {state}>"

    async def connect(self, channel: str | None) -> None:
        """Connect anew, and listen on *channel* if there is one.

        Blocks for a connect, bounded. Raises psycopg.Error, also if the backend of the connection
        before does not end.
        """
        await self.part()
        if not await self._witness.wait_until_gone(self._timeout):
            raise OperationalError("the backend of the connection before does not end")
        with self._witness.watching():
            self._conn = await watched(AsyncConnection).connect(
                **self._params(), client_encoding="utf8"
            )
        self._witness.add(self._conn.fileno())
        if channel is not None:
            listen = sql.SQL("LISTEN {}").format(sql.Identifier(channel))
            await self._run(listen.as_bytes(None))

    async def columns(self, query: str) -> list[str]:
        """The names of the columns that *query* gives. Blocks for a round trip."""
        pgconn = self._pgconn
        pgconn.send_prepare(b"", query.encode())
        await self._answer(pgconn)
        pgconn.send_describe_prepared(b"")
        result = await self._answer(pgconn)
        return [(result.fname(number) or b"").decode() for number in range(result.nfields)]

    async def ask(self, query: str, *values: str | None) -> list[Row]:
        """The rows of one statement with the *values* of ``$1`` and so on, as text.

        Blocks for a round trip. Raises psycopg.Error.
        """
        return await ask(self._pgconn, monotonic() + self._timeout, query, *values)

    async def rows(self, copy: str) -> AsyncIterator[list[bytes]]:
        """The rows that a ``COPY ... TO STDOUT`` gives, some at a time, each with its newline.

        Read it to its end. Raises psycopg.Error.
        """
        pgconn = self._pgconn
        await self._run(copy.encode())
        batch: list[bytes] = []
        while True:
            size, data = pgconn.get_copy_data(1)
            if size > 0:
                batch.append(bytes(data))
                if len(batch) < _BATCH:
                    continue
            elif size < 0:
                break
            if batch:
                yield batch
                batch = []
            if size == 0:
                await self._wait(self._timeout)
        if batch:
            yield batch
        await self._answer(pgconn)

    async def heard(self, timeout: float) -> list[str]:
        """The payloads of notifications, as soon as there are any; none after *timeout* seconds.

        Raises psycopg.OperationalError if the connection breaks, or ``hang_up`` is called.
        """
        pgconn = self._pgconn
        deadline = monotonic() + timeout
        while not (found := _notices(pgconn)) and (left := deadline - monotonic()) > 0:
            if await readable(pgconn.socket, left):
                pgconn.consume_input()
        return found

    def hang_up(self) -> None:
        """Let whoever waits for this connection find it broken. Does not block."""
        self._witness.hang_up()

    async def part(self) -> None:
        """Disconnect. Blocks until the backend is gone; bounded."""
        conn, self._conn = self._conn, None
        if conn is not None:
            await conn.close()
        await self._witness.wait_until_gone(self._timeout)

    async def close(self) -> None:
        """Disconnect for good. Blocks until the backend is gone; bounded."""
        await self.part()
        self._witness.close()

    @property
    def _pgconn(self) -> PGconn:
        if self._conn is None:
            raise OperationalError("not connected")
        return self._conn.pgconn

    async def _run(self, statement: bytes) -> None:
        pgconn = self._pgconn
        pgconn.send_query(statement)
        await self._answer(pgconn)

    async def _answer(self, pgconn: PGconn) -> PGresult:
        results = await answer(pgconn, monotonic() + self._timeout, 1)
        bad = [result for result in results if result.status == ExecStatus.FATAL_ERROR]
        if bad:
            raise error_from_result(bad[0])
        return results[0]

    async def _wait(self, timeout: float) -> None:
        pgconn = self._pgconn
        if not await readable(pgconn.socket, timeout):
            raise OperationalError("no answer in time")
        pgconn.consume_input()


def _notices(pgconn: PGconn) -> list[str]:
    found: list[str] = []
    while (notice := pgconn.notifies()) is not None:
        found.append(notice.extra.decode("utf-8", "replace"))
    return found
