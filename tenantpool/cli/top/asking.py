"""A thread that asks the service, so that the screen waits for nothing but keys and news."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Self, TypeVar

from tenantpool.cli.connection import Admin, Line
from tenantpool.errors import TenantpoolError

_PAUSE = 1.0
"""Seconds until a service that does not answer is asked again."""

Q = TypeVar("Q")


class Asking(ABC, Generic[Q]):
    """Asks a question again and again, from ``with`` to its end; it can become another one."""

    def __init__(self, admin: Admin, question: Q) -> None:
        self._admin = admin
        self._question = question
        self._line: Line | None = None
        self._changed = threading.Event()
        self._is_over = False
        name = f"tenantpool-top-{type(self).__name__.lower()}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over = True
        self._interrupt()
        self._thread.join()

    def ask(self, question: Q) -> None:
        """From now on the *question* is this. Does not block."""
        if question != self._question:
            self._question = question
            self._interrupt()

    @abstractmethod
    def _converse(self, line: Line, question: Q) -> None:
        """Ask until the question is another one. Blocks. Raises TenantpoolError, OSError."""

    @abstractmethod
    def _complain(self, question: Q, problem: str) -> None:
        """There is no answer; it will be asked again."""

    @property
    def _is_other(self) -> bool:
        """Whether the question is another one by now, or nobody asks any more."""
        return self._changed.is_set()

    def _rest(self, seconds: float | None) -> None:
        """Blocks for so long, or without end, while the question stays the same."""
        self._changed.wait(seconds)

    def _interrupt(self) -> None:
        self._changed.set()
        if self._line is not None:
            self._line.hang_up()

    def _run(self) -> None:
        while True:
            self._changed.clear()  # before what is said is read, so that nothing goes unheard
            question = self._question
            if self._is_over:
                return
            problem = self._try(question)
            if not self._is_other:
                self._complain(question, problem)
                self._rest(_PAUSE)

    def _try(self, question: Q) -> str:
        """Why there are no more answers."""
        try:
            with self._admin.connect() as self._line:
                if not self._is_other:
                    self._converse(self._line, question)
        except (TenantpoolError, OSError) as error:
            return str(error)
        return "the service has ended the stream"
