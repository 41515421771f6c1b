# Generated from ../_async/helpers.py by tools/generate_sync.py: do not edit.
"""What the tests of both managers need in two versions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import pytest

from tenantpool import Manager, Settings
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

on_all_versions = on_latest

raises = pytest.raises

_PATIENCE = 20.0
"""Seconds that a background job may take."""


class OpenManager(Protocol):
    """The fixture ``open_manager``."""

    def __call__(self, settings: Settings, **options: Any) -> Manager: ...


@pytest.fixture
def open_manager() -> Iterator[OpenManager]:
    """``open_manager(settings, ...)`` returns a manager that is open until the end of the test."""
    with ExitStack() as stack:

        def open_one(settings: Settings, **options: Any) -> Manager:
            return stack.enter_context(Manager(settings, **options))

        yield open_one


def pid_of(manager: Manager, tenant: str) -> int:
    """The process id of the backend that *tenant* gets next."""
    with manager.connection(tenant) as conn:
        return conn.info.backend_pid


class Background(Generic[T]):
    """A job beside the test: a task, or a thread."""

    def __init__(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> None:
        self._end = Future[T]()
        self._thread = threading.Thread(target=self._run, args=(job, args, kwargs))
        self._thread.start()

    def result(self) -> T:
        """Wait for its end, and return or raise what it did."""
        self._thread.join(_PATIENCE)
        assert self._end.done(), f"the job has not ended after {_PATIENCE:g} s"
        return self._end.result()

    def _run(self, job: Callable[..., T], args: Any, kwargs: Any) -> None:
        try:
            self._end.set_result(job(*args, **kwargs))
        except BaseException as error:
            self._end.set_exception(error)
