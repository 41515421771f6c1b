# Generated from ../_async/cursor.py by tools/generate_sync.py: do not edit.
"""Cursors that tell the watch of their connection's lease of what they run."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import monotonic
from types import new_class
from typing import Any

from psycopg import Connection

from tenantpool.insight.watch import Source, Watch

_WATCH = "_tenantpool_watch"
"""Where a connection keeps what watches its lease."""


def watch(conn: Connection[Any], tenant: str, source: Source) -> Watch:
    """Let *source* know what the cursors run that *conn* makes during this lease of *tenant*.

    Does not block. It is over with ``end`` of what is returned. Cursors of the application's own
    class are seen, too, if it was set before.
    """
    found: Watch | None = getattr(conn, _WATCH, None)
    if found is None or found.source is not source:
        found = Watch(source)
        setattr(conn, _WATCH, found)
    if not issubclass(conn.cursor_factory, WatchedCursor):
        conn.cursor_factory = watched(conn.cursor_factory)  # type: ignore[arg-type]
        conn.server_cursor_factory = watched(conn.server_cursor_factory)  # type: ignore[arg-type]
    found.begin(tenant)
    return found


@cache
def watched(cursor_class: type[Any]) -> type[Any]:
    """*cursor_class*, whose statements are seen; itself, if they are already."""
    if issubclass(cursor_class, WatchedCursor):
        return cursor_class
    bases = (WatchedCursor, cursor_class)
    # Without slots each cursor would get a dictionary.
    body = {"__slots__": (), "execute": _watched_execute(cursor_class.execute)}
    made = new_class(cursor_class.__name__, bases, exec_body=lambda names: names.update(body))
    made.__module__, made.__qualname__ = cursor_class.__module__, cursor_class.__qualname__
    return made


_AS_CONNECTIONS_DO = {"prepare": None}


def _watched_execute(execute: Callable[..., Any]) -> Callable[..., Any]:
    """*execute* of a class of cursors, whose statements are seen.

    It is called as it is: to find it by super() takes longer than all else that is done here.
    """

    def watched_execute(self: Any, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's."""
        watch = _watch_of(self)
        if watch is None:
            return execute(self, query, params, **options)
        began = monotonic()
        try:
            if options == _AS_CONNECTIONS_DO:  # named, as to pass on a dictionary takes long
                return execute(self, query, params, prepare=None)
            return execute(self, query, params, **options)
        finally:
            watch.ran(self, query, began)

    watched_execute.__name__ = "execute"
    return watched_execute


def _watch_of(cursor: Any) -> Watch | None:
    """What is to see what *cursor* runs; in a pipeline nothing is."""
    found: Watch | None = getattr(cursor._conn, _WATCH, None)
    is_seen = found is not None and found.is_on and not cursor._pgconn.pipeline_status
    return found if is_seen else None


class WatchedCursor:
    """Mixed into a class of cursors. What runs in a pipeline is not seen: it waits for nothing.

    What is streamed or copied is not timed, since the application sets its pace.
    """

    __slots__ = ()

    _conn: Any
    _pgconn: Any

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> Any:
        """As psycopg's; all of it counts as one statement."""
        watch = _watch_of(self)
        if watch is None:
            return super().executemany(query, params_seq, **options)  # type: ignore[misc]
        began = monotonic()
        try:
            return super().executemany(query, params_seq, **options)  # type: ignore[misc]
        finally:
            watch.ran(self, query, began)

    def stream(self, query: Any, params: Any = None, **options: Any) -> Any:
        """As psycopg's."""
        watch = _watch_of(self)
        if watch is not None:
            watch.ran(self, query, monotonic())
        return super().stream(query, params, **options)  # type: ignore[misc]
