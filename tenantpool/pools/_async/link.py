"""One connection, from before it is opened until its backend is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import AsyncConnection, Notify
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg_pool import AsyncConnectionPool

from tenantpool.blind import closed_pgconn
from tenantpool.pools.parameters import parameters_of
from tenantpool.pools.quick_wipe import Done, Wiper
from tenantpool.pools.session import UNDO

from .pool import AsyncPassivePool
from .wipe import wipe
from .witness import AsyncWitness

_IDLE = TransactionStatus.IDLE
_PIPELINE_OFF = PipelineStatus.OFF
_BETWEEN_CANCELS = (0.01, 0.04, 0.1, 0.25, 0.6)
"""Parts of the time that a backend is given to end."""


def _ignore(notification: Notify) -> None:
    """Drop a notification."""


class AsyncLink:
    """psycopg's connection, and a witness of its end. However ``open`` went, ``end`` it."""

    __slots__ = (
        "_is_plain",
        "_parameters",
        "_socket",
        "_witness",
        "conn",
        "is_altered",
        "is_lent_away",
        "is_shared",
        "pid",
        "pool",
    )

    conn: AsyncConnection[Any]
    """There once it is open."""

    def __init__(self, pool: AsyncPassivePool) -> None:
        self.pool = pool
        self.pid = 0
        self.is_shared = False
        """Whether others may have spoken on its socket, so that libpq does not know its state."""
        self._is_plain: bool | None = None
        self.is_altered = False
        """Whether libpq has changed settings, of which it knows, and has not wiped them yet."""
        self.is_lent_away = False
        """Whether its holders are other processes, so that libpq's object is always ours."""
        self._parameters: Mapping[str, str] | None = None
        self._socket: socket.socket | None = None
        self._witness = AsyncWitness()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pool.name}, backend {self.pid or 'unknown'}>"

    async def open(self) -> None:
        """Connect and configure. Raises what psycopg, or the application's function, raises."""
        self.conn = await self.pool.connect(self._witness)
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

    @property
    def descriptor(self) -> int:
        """Of its socket, or -1. Not libpq's, so that it can be looked at beside whoever uses that.

        Does not block.
        """
        return self._witness.newest

    @property
    def is_plain(self) -> bool:
        """Whether its socket carries the protocol as it is, so that another process can speak it.

        Where it is encrypted the keys are libpq's own; and libpq does not say whether it agreed
        with the server on GSSAPI, but only whether it might have. Does not block.
        """
        if self._is_plain is None:
            options = {option.keyword: option.val or b"" for option in self.conn.pgconn.info}
            gssapi = options.get(b"gssencmode", b"disable") != b"disable"
            by_network = not options[b"host"].startswith((b"/", b"@"))
            self._is_plain = not (self.conn.pgconn.ssl_in_use or (gssapi and by_network))
        return self._is_plain

    @property
    def parameters(self) -> Mapping[str, str]:
        """The session's ParameterStatus values, as far as libpq has heard of them.

        Equal ones are the same object as a rule, so comparing them is cheap. Does not block.
        """
        if self._parameters is None:
            self._parameters = parameters_of(self.conn.pgconn)
        return self._parameters

    @property
    def socket(self) -> socket.socket:
        """The connection's socket, non-blocking, for one who speaks the protocol himself.

        From now on the link is shared: it must be wiped before libpq uses it again. It is the
        link's own and goes with it; who needs it for longer duplicates it. Does not block.
        """
        if self._socket is None:
            self._socket = socket.socket(fileno=os.dup(self.conn.fileno()))
            self._socket.setblocking(False)
        self.is_shared = True
        return self._socket

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
        self._parameters = None
        self.is_altered = bool(apply) or (self.is_altered and not undo)
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

    async def wipe(self, timeout: float) -> None:
        """Wipe the session, on the server and in the Python object, which is replaced.

        As ``switch`` with *undo* does, and for a shared link too: it proves that the server has
        nothing under way but this. Blocks for a round trip, for at most *timeout* seconds.
        Raises psycopg.Error; the connection is of no use then.
        """
        self._renew()
        self._parameters = None
        await wipe(self.conn.pgconn, timeout)
        self.is_shared = self.is_altered = False
        await self.pool.dress(self.conn)
        await self.pool.configure(self.conn)

    if True:  # ASYNC

        def wipe_quickly(self, wiper: Wiper, done: Done) -> bool:
            """Let *wiper* wipe; return False if only ``wipe`` will do. Does not block."""
            if not self.is_lent_away or self.is_altered or self.pool.is_configured:
                return False

            def wiped(problem: str) -> None:
                self.is_shared = bool(problem)
                done(problem)

            wiper.wipe(self.socket, wiped)
            return True

    async def cancel(self, timeout: float) -> None:
        """Cancel what runs, if anything does. It is over when this returns, done or not.

        Blocks for a connect, for at most *timeout* seconds. A server that can't be reached is no
        error.
        """
        with suppress(psycopg.Error, OSError):
            await self.conn.cancel_safe(timeout=timeout)

    async def end(self, timeout: float) -> bool:
        """Close, and wait for at most *timeout* seconds until the backend is gone.

        Return whether it is; call again if not. A statement that still runs is cancelled.
        """
        if self.pid:
            is_busy = self.conn.pgconn.transaction_status == TransactionStatus.ACTIVE
            if (is_busy or self.is_shared) and not await self.cut(timeout):
                return False
            await self.pool._close_connection(self.conn)
        self._close_socket()
        return await self._witness.wait_until_gone(timeout)

    async def cut(self, timeout: float) -> bool:
        """Like ``end`` for a connection that its holder may be using at this moment.

        First of all the holder, be it a process that is stopped, can send nothing any more; then
        what it runs is cancelled. libpq's object is the holder's to close, since it must not be
        used by two at once. A cancel that is faster than its statement has no effect, so it is
        repeated.
        """
        self._witness.hang_up()
        self._close_socket()
        for part in _BETWEEN_CANCELS:
            await self.cancel(timeout)
            if await self._witness.wait_until_gone(timeout * part):
                if self.is_lent_away:
                    await self.pool._close_connection(self.conn)
                return True
        return False

    def abandon(self) -> None:
        """Do not wait for the backend any longer. Does not block."""
        self._close_socket()
        self._witness.close()

    def _close_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

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
