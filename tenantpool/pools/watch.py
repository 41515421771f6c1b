"""Connects that are watched: whose every socket is known before the server has heard of it.

A connect that fails, times out or is cancelled may leave a backend that starts or ends, and
psycopg is done with its socket by then. So a hold on the socket must be taken while it connects.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from types import new_class
from typing import Any, TypeVar

from psycopg import AsyncConnection, BaseConnection, Connection

C = TypeVar("C", bound=BaseConnection[Any])


class Sockets:
    """Duplicates of the sockets of one connect, which outlive libpq's own.

    There is more than one after a first host, or a first try with TLS, was given up.
    """

    __slots__ = ("_descriptors", "_newest")

    def __init__(self) -> None:
        self._descriptors: list[int] = []
        self._newest = -1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self._descriptors)}>"

    @property
    def newest(self) -> int:
        """The descriptor that was added last; -1: there is none."""
        return self._descriptors[-1] if self._descriptors else -1

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take hold of what a ``watched`` class connects in this block, thread or task."""
        token = _watcher.set(self)
        try:
            yield
        finally:
            _watcher.reset(token)

    def add(self, descriptor: int) -> None:
        """Take hold of the socket behind *descriptor*; again does nothing."""
        inode = os.fstat(descriptor).st_ino
        if inode != self._newest:
            self._newest = inode
            self._descriptors.append(os.dup(descriptor))

    def close(self) -> None:
        """Let go of all of them. Does not block."""
        while self._descriptors:
            os.close(self._descriptors.pop())


_watcher: ContextVar[Sockets | None] = ContextVar("watcher", default=None)


@cache
def watched(connection_class: type[C]) -> type[C]:
    """*connection_class*, with connects that can be watched."""
    base = _AsyncWatched if issubclass(connection_class, AsyncConnection) else _Watched
    made = new_class(connection_class.__name__, (base, connection_class))
    made.__module__, made.__qualname__ = connection_class.__module__, connection_class.__qualname__
    return made


@cache
def connects_by_itself(connection_class: type[BaseConnection[Any]]) -> bool:
    """Whether *connection_class* has a way of its own to connect, and not psycopg's."""
    names = "connect", "_connect_gen", "_get_connection_params"
    theirs = AsyncConnection if issubclass(connection_class, AsyncConnection) else Connection
    return any(
        getattr(connection_class, name).__func__ is not getattr(theirs, name).__func__
        for name in names
    )


class _Watched:
    @classmethod
    def _connect_gen(cls, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        connect = super()._connect_gen(*args, **kwargs)  # type: ignore[misc]
        watcher = _watcher.get()
        return connect if watcher is None else _watch(connect, watcher)

    @classmethod
    def _get_connection_params(cls, conninfo: str, **kwargs: Any) -> Any:
        # Reading a string that does not say anything takes libpq 0.1 ms all the same.
        if not conninfo:
            return kwargs
        return super()._get_connection_params(conninfo, **kwargs)  # type: ignore[misc]


class _AsyncWatched(_Watched):
    @classmethod
    async def _get_connection_params(cls, conninfo: str, **kwargs: Any) -> Any:
        params = super()._get_connection_params(conninfo, **kwargs)
        return await params if conninfo else params


def _watch(connect: Generator[Any, Any, Any], watcher: Sockets) -> Generator[Any, Any, Any]:
    """psycopg's generator *connect*, which yields (descriptor, what to wait for)."""
    try:
        waiting = next(connect)
        while True:
            watcher.add(waiting[0])
            waiting = connect.send((yield waiting))
    except StopIteration as end:
        return end.value
