"""One connection, from before it is opened until its backend is gone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, Notify
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg_pool import AsyncConnectionPool

from tenantpool.pools.blind import closed_pgconn
from tenantpool.pools.session import UNDO

from .pool import AsyncPassivePool
from .witness import AsyncWitness

_IDLE = TransactionStatus.IDLE
_PIPELINE_OFF = PipelineStatus.OFF
_BETWEEN_CANCELS = (0.01, 0.1, 0.89)
"""Parts of the time that a backend is given to end."""


def _ignore(notification: Notify) -> None:
    """Drop a notification."""


class AsyncLink:
    """psycopg's connection, and a witness of its end. However ``open`` went, ``end`` it."""

    __slots__ = ("_witness", "conn", "pid", "pool")

    conn: AsyncConnection[Any]
    """There once it is open."""

    def __init__(self, pool: AsyncPassivePool) -> None:
        self.pool = pool
        self.pid = 0
        self._witness = AsyncWitness()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pool.name}, backend {self.pid or 'unknown'}>"

    async def open(self) -> None:
        """Connect and configure. Raises what psycopg, or the application's function, raises."""
        with self._witness.watching():
            self.conn = await self.pool.connect()
        self._witness.add(self.conn.fileno())
        self.pid = self.conn.pgconn.backend_pid
        await self.pool.configure(self.conn)

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

    async def switch(self, apply: str, *, undo: bool) -> bool:
        """Give the session to another tenant; return whether the server was spoken to.

        *undo* wipes what the last tenant left, on the server and in the Python object, which is
        replaced: whoever kept the old one finds it closed. That and *apply* take one round trip.
        Only where the application configures connections it takes more, as its function must
        find a wiped session and not the next tenant's. Raises psycopg.Error or UnicodeError.
        """
        if not undo:
            return await self._send(apply)
        self._renew()
        if self.pool.is_configured:
            await self._send(UNDO)
            await self.pool.dress(self.conn)
            await self.pool.configure(self.conn)
            await self._send(apply)
        else:
            await self._send(UNDO, apply)
            await self.pool.dress(self.conn)
        return True

    async def end(self, timeout: float) -> bool:
        """Close, and wait for at most *timeout* seconds until the backend is gone.

        Return whether it is; call again if not. A statement that still runs is cancelled.
        """
        if self.pid:
            is_busy = self.conn.pgconn.transaction_status == TransactionStatus.ACTIVE
            if is_busy and not await self.cut(timeout):
                return False
            await self.pool._close_connection(self.conn)
        return await self._witness.wait_until_gone(timeout)

    async def cut(self, timeout: float) -> bool:
        """Like ``end`` for a connection that its holder may be using at this moment.

        The holder's next use fails; what it runs is cancelled. libpq's object is the holder's to
        close, since it must not be used by two at once. A cancel that is faster than its statement
        has no effect, so it is repeated.
        """
        for part in _BETWEEN_CANCELS:
            await self._cancel(timeout)
            if await self._witness.wait_until_gone(timeout * part):
                return True
        return False

    def abandon(self) -> None:
        """Do not wait for the backend any longer. Does not block."""
        self._witness.close()

    def _renew(self) -> None:
        old = self.conn
        self.conn = type(old)(old.pgconn)
        self.conn._created_at, self.conn._expire_at = old._created_at, old._expire_at
        self.conn._pool = self.pool
        old.pgconn = closed_pgconn(old.pgconn)

    async def _send(self, *parts: str) -> bool:
        """Run statements in one round trip, in no transaction; return whether there were any.

        Notifications that come in meanwhile are dropped: the last tenant had listened for them.
        """
        text = "; ".join(filter(None, parts))
        if not text:
            return False
        conn, autocommit = self.conn, self.conn.autocommit
        await conn.set_autocommit(True)
        conn.add_notify_handler(_ignore)
        await conn.execute(text, prepare=False)
        conn.remove_notify_handler(_ignore)
        await conn.set_autocommit(autocommit)
        return True

    async def _roll_back(self) -> None:
        with suppress(psycopg.Error):
            await self.conn.rollback()

    async def _cancel(self, timeout: float) -> None:
        with suppress(psycopg.Error, OSError):
            await self.conn.cancel_safe(timeout=timeout)
