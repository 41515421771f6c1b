"""psycopg's connection objects: what the application wants of them, and how they are let go."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import new_class
from typing import Any, Generic, TypeAlias, TypeVar

from psycopg import AsyncConnection, Connection, ConnectionInfo
from psycopg.adapt import AdaptersMap
from psycopg.pq.abc import PGconn

from tenantpool.blind import closed_pgconn

AnyConnection: TypeAlias = Connection[Any] | AsyncConnection[Any]
C = TypeVar("C", bound=AnyConnection)

_KWARGS = {"autocommit", "context", "cursor_factory", "prepare_threshold", "row_factory"}
_closed: dict[type, PGconn] = {}


class Dress(Generic[C]):
    """Puts a fresh connection object around a session that is there already."""

    def __init__(self, connection_class: type[C], kwargs: Mapping[str, Any] | None) -> None:
        self.connection_class: Any = lent(connection_class)  # type: ignore[arg-type]
        self.kwargs = kwargs = dict(kwargs or {})
        if foreign := sorted(self.kwargs.keys() - _KWARGS):
            raise TypeError(
                f"kwargs: {', '.join(foreign)}: the service connects, so only "
                f"{', '.join(sorted(_KWARGS))} can be chosen here"
            )
        self._attributes: dict[str, Any] = {}
        if kwargs:
            self._attributes["_autocommit"] = bool(kwargs.get("autocommit"))
            self._attributes["prepare_threshold"] = kwargs.get("prepare_threshold", 5)
        for name in ("row_factory", "cursor_factory"):
            if (value := kwargs.get(name)) is not None:
                self._attributes[name] = value
        self._context = kwargs.get("context")

    def __repr__(self) -> str:
        return f"<Dress {self.connection_class.__name__} {self.kwargs}>"

    def wrap(self, pgconn: PGconn) -> C:
        """What ``connect`` would have returned: handlers, prepared statements, all is new."""
        conn: C = self.connection_class(pgconn)
        for name, value in self._attributes.items():
            setattr(conn, name, value)
        if self._context is not None:
            conn._adapters = AdaptersMap(self._context.adapters)
        return conn


@cache
def lent(connection_class: type[Any]) -> type[Any]:
    """*connection_class*, whose ``close`` gives back, also what is not connected any more."""
    base = _AsyncLent if issubclass(connection_class, AsyncConnection) else _Lent
    made = new_class(connection_class.__name__, (base, connection_class))
    made.__module__, made.__qualname__ = connection_class.__module__, connection_class.__qualname__
    return made


class LentInfo(ConnectionInfo):
    """What is known of a connection whose libpq object may have been made for another lease.

    *user* is the lease's id, *dbname* the name of its database; empty: libpq knows.
    """

    def __init__(self, pgconn: PGconn, user: str, dbname: str) -> None:
        super().__init__(pgconn)
        self._user = user
        self._dbname = dbname

    @property
    def user(self) -> str:
        """Who the gateway knows its user as: the lease's id."""
        return self._user or super().user

    @property
    def dbname(self) -> str:
        """The name of the database."""
        return self._dbname or super().dbname

    def get_parameters(self) -> dict[str, str]:
        """As psycopg's: what it was connected with, but for the password."""
        return super().get_parameters() | {"user": self.user, "dbname": self.dbname}


class _Info:
    pgconn: Any
    lent_as: tuple[str, str] = ("", "")
    """The user and the database's name, where they are not what libpq connected with."""

    @property
    def info(self) -> LentInfo:
        """What is known of it."""
        return LentInfo(self.pgconn, *self.lent_as)


def introduce(conn: AnyConnection, user: str, dbname: str) -> None:
    """Let ``conn.info`` name this user and database; empty: as libpq connected."""
    conn.lent_as = (user, dbname)  # type: ignore[union-attr]


class _Lent(_Info):
    _pool: Any = None
    """The lease, while it is in use."""

    def close(self) -> None:
        """Give the connection back; what is open on it is rolled back."""
        if self._pool is not None:
            self._pool.close()
        else:
            super().close()  # type: ignore[misc]

    @classmethod
    def _get_connection_params(cls, conninfo: str, **kwargs: Any) -> Any:
        # Reading a string that does not say anything takes libpq 0.1 ms all the same.
        if not conninfo:
            return kwargs
        return super()._get_connection_params(conninfo, **kwargs)  # type: ignore[misc]


class _AsyncLent(_Info):
    _pool: Any = None
    """The lease, while it is in use."""

    async def close(self) -> None:
        """Give the connection back; what is open on it is rolled back."""
        if self._pool is not None:
            await self._pool.close()
        else:
            await super().close()  # type: ignore[misc]

    @classmethod
    async def _get_connection_params(cls, conninfo: str, **kwargs: Any) -> Any:
        if not conninfo:
            return kwargs
        return await super()._get_connection_params(conninfo, **kwargs)  # type: ignore[misc]


def blind(conn: AnyConnection) -> None:
    """Make a connection object closed, and leave what it was connected to as it is.

    It, its cursors and its pipelines raise from now on.
    """
    pgconn = conn.pgconn
    conn._closed = True
    kind = type(pgconn)
    conn.pgconn = _closed.get(kind) or _closed.setdefault(kind, closed_pgconn(pgconn))
