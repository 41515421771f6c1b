"""One open connection: psycopg's object, and a second hold on its socket."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg_pool import AsyncConnectionPool

from tenantpool.pools.blind import closed_pgconn
from tenantpool.pools.session import UNDO

from .pool import AsyncPassivePool

_IDLE = TransactionStatus.IDLE
_PIPELINE_OFF = PipelineStatus.OFF
_CHUNK = 65536
_FAILED_CLOSE = 5.0
"""Seconds to wait for the end of a connection that could not be configured."""


class AsyncLink:
    """A connection and its *witness*: a duplicate of its socket, which outlives libpq's.

    A backend keeps its socket open until its process has exited, and by then it has left
    ``pg_stat_activity``. So the end of file on the witness says that the backend is gone, however
    the connection ended.
    """

    __slots__ = ("_witness", "conn", "pid", "pool")

    def __init__(self, pool: AsyncPassivePool, conn: AsyncConnection[Any]) -> None:
        self.pool = pool
        self.conn = conn
        self.pid = conn.info.backend_pid
        self._witness = socket.socket(fileno=os.dup(conn.fileno()))
        self._witness.setblocking(False)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pool.name}, backend {self.pid}>"

    @classmethod
    async def open(cls, pool: AsyncPassivePool) -> Self:
        """Connect and configure. Raises what psycopg, or the application's function, raises."""
        link = cls(pool, await pool.connect())
        try:
            await pool.configure(link.conn)
        except BaseException:
            await link.end(_FAILED_CLOSE)
            raise
        return link

    @property
    def is_clean(self) -> bool:
        """Alive, in no transaction, and with nothing in flight. Does not block."""
        pgconn = self.conn.pgconn
        return pgconn.transaction_status == _IDLE and pgconn.pipeline_status == _PIPELINE_OFF

    @property
    def is_alive(self) -> bool:
        """As far as libpq knows. Does not block."""
        return not self.conn.closed

    async def check(self) -> None:
        """One round trip to see whether the connection works; raises psycopg.Error if not."""
        await AsyncConnectionPool.check_connection(self.conn)

    async def finish(self, *, failed: bool) -> None:
        """End the holder's transaction: commit, or roll back if its block *failed*.

        Raises what the commit raises; after it, the transaction is rolled back.
        """
        if self.conn.closed:
            return
        if failed:
            await self._roll_back()
            return
        try:
            await self.conn.commit()
        except psycopg.Error:
            await self._roll_back()
            raise

    async def switch(self, apply: str, *, undo: bool) -> None:
        """Give the session to another tenant: one round trip.

        *undo* wipes what the last tenant left, on the server and in the Python object, which is
        replaced: whoever kept the old one finds it closed. Raises psycopg.Error.
        """
        if undo:
            self._renew()
        parts = [part for part in (UNDO if undo else "", apply) if part]
        if parts:
            autocommit = self.conn.autocommit
            await self.conn.set_autocommit(True)
            await self.conn.execute("; ".join(parts).encode(), prepare=False)
            await self.conn.set_autocommit(autocommit)
        if undo:
            await self.pool.dress(self.conn)
            await self.pool.configure(self.conn)

    async def end(self, timeout: float) -> bool:
        """Close, and wait for at most *timeout* seconds until the backend is gone.

        Return whether it is; call again if not. A statement that still runs is cancelled.
        """
        conn = self.conn
        if not conn.closed and conn.pgconn.transaction_status == TransactionStatus.ACTIVE:
            await self._cancel(timeout)
        await self.pool._close_connection(conn)
        return await self._wait_until_gone(timeout)

    async def cut(self, timeout: float) -> bool:
        """Like ``end`` for a connection that its holder may be using at this moment.

        The holder's next use fails; what it runs is cancelled. libpq's object is the holder's to
        close, since it must not be used by two at once.
        """
        await self._cancel(timeout)
        return await self._wait_until_gone(timeout)

    def _renew(self) -> None:
        old = self.conn
        self.conn = type(old)(old.pgconn)
        self.conn._created_at, self.conn._expire_at = old._created_at, old._expire_at
        self.conn._pool = self.pool
        old.pgconn = closed_pgconn(old.pgconn)

    async def _roll_back(self) -> None:
        with suppress(psycopg.Error):
            await self.conn.rollback()

    async def _cancel(self, timeout: float) -> None:
        with suppress(psycopg.Error, OSError):
            await self.conn.cancel_safe(timeout=timeout)

    async def _wait_until_gone(self, timeout: float) -> bool:
        with suppress(OSError):
            self._witness.shutdown(socket.SHUT_WR)
        try:
            await self._read_to_end(timeout)
        except TimeoutError:
            return False
        except OSError:
            pass  # reset by the server: there is nobody at the other end any more
        self._witness.close()
        return True

    async def _read_to_end(self, timeout: float) -> None:
        """Read until the end of file; TimeoutError if it does not come in *timeout* seconds."""
        if True:  # ASYNC
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(timeout):
                while await loop.sock_recv(self._witness, _CHUNK):
                    pass
        else:
            self._witness.settimeout(timeout)
            while self._witness.recv(_CHUNK):
                pass
