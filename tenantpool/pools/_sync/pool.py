# Generated from ../_async/pool.py by tools/generate_sync.py: do not edit.
"""A psycopg_pool pool that opens, tests and closes connections only when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from psycopg import Connection
from psycopg.conninfo import timeout_from_conninfo
from psycopg_pool import ConnectionPool

from tenantpool.core.pool import Pool
from tenantpool.libpq import join_conninfo
from tenantpool.pools.watch import Sockets, connects_by_itself, watched

from .connect import connect, only_address

_DRESSING = {"autocommit", "context", "cursor_factory", "prepare_threshold", "row_factory"}
"""What a connection is given besides libpq's parameters, see ``dress``."""


class PassivePool(ConnectionPool[Connection[Any]]):
    """The connections of one (database, dbname, role).

    psycopg_pool knows how to make, test and close a connection. When to do so is decided in the
    core, so this pool is never opened: it has no workers, no queue and no connections of its own.
    What is used of psycopg_pool's internals is what ``tests/pools/test_contract.py`` pins down.
    """

    def __init__(
        self,
        core: Pool,
        params: Callable[[], Mapping[str, str]],
        *,
        connection_class: type[Connection[Any]] = Connection,
        kwargs: Mapping[str, Any] | None = None,
        configure: Callable[[Connection[Any]], None] | None = None,
    ) -> None:
        dressing = dict(kwargs or {})
        self._params = params
        super().__init__(
            connection_class=watched(connection_class),  # type: ignore[arg-type]
            kwargs=lambda: {**params(), **dressing},
            min_size=0,
            max_size=1,
            open=False,
            name=core.name,
        )
        self._core = core
        self._dressing = dressing
        self._prepare = configure
        has_own_way = connects_by_itself(connection_class)  # type: ignore[arg-type]
        self._is_plain = not has_own_way and dressing.keys() <= _DRESSING

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._core!r}>"

    @property
    def is_configured(self) -> bool:
        """Whether the application does something to every connection."""
        return self._prepare is not None

    def connect(self, sockets: Sockets) -> Connection[Any]:
        """Make a connection, not configured yet; *sockets* takes hold of every socket of it.

        Blocks for a connect. Raises what psycopg raises when it can't be made.
        """
        conn = self._connect_straight(sockets)
        if conn is None:
            with sockets.watching():
                conn = self._connect()
        conn._pool = self
        return conn

    def _connect_straight(self, sockets: Sockets) -> Connection[Any] | None:
        """Connect with libpq alone, if there is one address and no code of the application's.

        That saves 0.2 ms, as psycopg reads and checks the parameters anew for each connect.
        """
        params = only_address(self._params()) if self._is_plain else None
        if params is None:
            return None
        pgconn = connect(join_conninfo(params), timeout_from_conninfo(params), sockets)
        conn = self.connection_class(pgconn)
        self._set_connection_expiry_date(conn)
        self.dress(conn)
        return conn

    def configure(self, conn: Connection[Any]) -> None:
        """Do to a new or wiped connection what the application asked for, and commit it."""
        if self._prepare is not None:
            self._prepare(conn)
            conn.commit()

    def dress(self, conn: Connection[Any]) -> None:
        """Give a new Python object for an old session what ``connect`` gives a new one."""
        kwargs = self._dressing
        if kwargs.get("autocommit"):
            conn.set_autocommit(True)
        if (context := kwargs.get("context")) is not None:
            conn._adapters = type(conn.adapters)(context.adapters)
        for name in ("row_factory", "cursor_factory"):
            if (value := kwargs.get(name)) is not None:
                setattr(conn, name, value)
        if "prepare_threshold" in kwargs:
            conn.prepare_threshold = kwargs["prepare_threshold"]
        conn._pool = self

    def _get_measures(self) -> dict[str, int]:
        core = self._core
        return {
            self._POOL_MIN: core.min_size,
            self._POOL_MAX: core.cap,
            self._POOL_SIZE: core.live,
            self._POOL_AVAILABLE: len(core.idle),
            self._REQUESTS_WAITING: sum(len(tenant.queue) for tenant in core.tenants),
        }
