"""What the tests of both managers need in two versions."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import pytest

from tenantpool import AsyncManager, Settings

if True:  # ASYNC
    from tests.support.wait import wait_until_async as wait_until
else:
    from tests.support.servers import on_latest
    from tests.support.wait import wait_until

__all__ = [
    "Background",
    "OpenManager",
    "on_all_versions",
    "open_manager",
    "pid_of",
    "raises",
    "wait_until",
]

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=BaseException)

if True:  # ASYNC

    def on_all_versions(test: T) -> T:
        """Decorates a test of SQL, which both managers send alike; one of them is enough."""
        return test

else:
    on_all_versions = on_latest

if True:  # ASYNC

    @asynccontextmanager
    async def raises(
        kind: type[E] | tuple[type[E], ...], match: str | None = None
    ) -> AsyncIterator[pytest.ExceptionInfo[E]]:
        """``pytest.raises``, to stand in one ``async with`` beside what raises."""
        with pytest.raises(kind, match=match) as caught:
            yield caught

else:
    raises = pytest.raises

_PATIENCE = 20.0
"""Seconds that a background job may take."""


class OpenManager(Protocol):
    """The fixture ``open_manager``."""

    async def __call__(self, settings: Settings, **options: Any) -> AsyncManager: ...


@pytest.fixture
async def open_manager() -> AsyncIterator[OpenManager]:
    """``open_manager(settings, ...)`` returns a manager that is open until the end of the test."""
    async with AsyncExitStack() as stack:

        async def open_one(settings: Settings, **options: Any) -> AsyncManager:
            return await stack.enter_async_context(AsyncManager(settings, **options))

        yield open_one


async def pid_of(manager: AsyncManager, tenant: str) -> int:
    """The process id of the backend that *tenant* gets next."""
    async with manager.connection(tenant) as conn:
        return conn.info.backend_pid


class Background(Generic[T]):
    """A job beside the test: a task, or a thread."""

    def __init__(self, job: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> None:
        if True:  # ASYNC
            self._end = asyncio.ensure_future(job(*args, **kwargs))
        else:
            self._end = Future[T]()
            self._thread = threading.Thread(target=self._run, args=(job, args, kwargs))
            self._thread.start()

    async def result(self) -> T:
        """Wait for its end, and return or raise what it did."""
        if True:  # ASYNC
            await asyncio.wait([self._end], timeout=_PATIENCE)
        else:
            self._thread.join(_PATIENCE)
        assert self._end.done(), f"the job has not ended after {_PATIENCE:g} s"
        return self._end.result()

    if False:  # ASYNC

        def _run(self, job: Callable[..., T], args: Any, kwargs: Any) -> None:
            try:
                self._end.set_result(job(*args, **kwargs))
            except BaseException as error:
                self._end.set_exception(error)
