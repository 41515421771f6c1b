"""Cursors that tell the watch of their connection's lease of what they run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import monotonic
from types import new_class
from typing import Any

from psycopg import AsyncConnection

from tenantpool.insight.watch import Watch

_WATCH = "_tenantpool_watch"
"""Where a connection keeps what watches its lease."""


def attach(conn: AsyncConnection[Any], watch: Watch) -> None:
    """Let *watch* see what the cursors run that *conn* makes from now on. Does not block.

    Cursors of the application's own class are seen, too, if it was set before.
    """
    if not issubclass(conn.cursor_factory, AsyncWatchedCursor):
        conn.cursor_factory = watched(conn.cursor_factory)  # type: ignore[arg-type]
        conn.server_cursor_factory = watched(conn.server_cursor_factory)  # type: ignore[arg-type]
    conn._tenantpool_watch = watch  # type: ignore[attr-defined]


def detach(conn: AsyncConnection[Any]) -> None:
    """The lease is over: nothing is seen any more. Does not block."""
    conn._tenantpool_watch = None  # type: ignore[attr-defined]


@cache
def watched(cursor_class: type[Any]) -> type[Any]:
    """*cursor_class*, whose statements are seen; itself, if they are already."""
    if issubclass(cursor_class, AsyncWatchedCursor):
        return cursor_class
    bases = (AsyncWatchedCursor, cursor_class)
    # Without slots each cursor would get a dictionary.
    body = {"__slots__": (), "execute": _watched_execute(cursor_class.execute)}
    made = new_class(cursor_class.__name__, bases, exec_body=lambda names: names.update(body))
    made.__module__, made.__qualname__ = cursor_class.__module__, cursor_class.__qualname__
    return made


def _watched_execute(execute: Callable[..., Any]) -> Callable[..., Any]:
    """*execute* of a class of cursors, whose statements are seen.

    It is called as it is: to find it by super() takes longer than all else that is done here.
    """

    async def watched_execute(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's."""
        watch: Watch | None = getattr(self._conn, _WATCH, None)
        if watch is None or self._pgconn.pipeline_status:
            return await execute(self, query, params, **options)
        began = monotonic()
        try:
            return await execute(self, query, params, **options)
        finally:
            watch.ran(self, query, began)

    watched_execute.__name__ = "execute"
    return watched_execute


class AsyncWatchedCursor:
    """Mixed into a class of cursors. What runs in a pipeline is not seen: it waits for nothing.

    What is streamed or copied is not timed, since the application sets its pace.
    """

    __slots__ = ()

    _conn: Any
    _pgconn: Any

    async def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """As psycopg's; all of it counts as one statement."""
        watch: Watch | None = getattr(self._conn, _WATCH, None)
        if watch is None or self._pgconn.pipeline_status:
            return await super().executemany(query, params_seq, **options)  # type: ignore[misc]
        began = monotonic()
        try:
            return await super().executemany(query, params_seq, **options)  # type: ignore[misc]
        finally:
            watch.ran(self, query, began)

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's."""
        watch: Watch | None = getattr(self._conn, _WATCH, None)
        if watch is not None:
            watch.ran(self, query, monotonic())
        return super().stream(query, params, **options)  # type: ignore[misc]
