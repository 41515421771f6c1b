"""What the service says, read by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from types import TracebackType
from typing import Self

from tenantpool.cli.connection import Admin, Line
from tenantpool.cli.top.view import MOST, Question
from tenantpool.errors import TenantpoolError, UnknownTenant
from tenantpool.v1.admin_service_pb2 import (
    GetTenantRequest,
    GetTenantResponse,
    LeaseState,
    ListLeasesRequest,
    WatchRequest,
    WatchResponse,
)

_PAUSE = 1.0
"""Seconds until a service that does not answer is asked again."""


@dataclass(frozen=True)
class Page:
    """One tenant."""

    tenant: GetTenantResponse
    leases: list[LeaseState]
    more: bool
    """There are more leases than these."""


@dataclass(frozen=True)
class News:
    """What is known; replaced as a whole."""

    question: Question
    state: WatchResponse | None = None
    page: Page | None = None
    problem: str = ""
    """Why there is nothing newer."""
    leases_per_second: float | None = None
    refused_per_second: float | None = None


class Feed:
    """Asks the service again and again, from ``with`` to its end.

    *wake* is called, by the feed's thread, when there are ``news``; it must not block.
    """

    def __init__(
        self, admin: Admin, question: Question, interval: float, wake: Callable[[], None]
    ) -> None:
        self.news = News(question)
        self._admin = admin
        self._question = question
        self._interval = interval
        self._wake = wake
        self._line: Line | None = None
        self._changed = threading.Event()
        self._is_over = False
        self._sums: tuple[float, int, int] | None = None
        self._thread = threading.Thread(target=self._run, name="tenantpool-top", daemon=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._admin!r}: {self.news.problem or 'well'}>"

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

    def ask(self, question: Question) -> None:
        """From now on the *question* is this. Does not block."""
        if question != self._question:
            self._question = question
            self._interrupt()

    def _interrupt(self) -> None:
        self._changed.set()
        if self._line is not None:
            self._line.hang_up()

    def _run(self) -> None:
        while not self._is_over:
            self._changed.clear()
            question = self._question
            try:
                with self._admin.connect() as self._line:
                    self._watch(self._line, question)
                problem = "the service has ended the stream"
            except (TenantpoolError, OSError) as error:
                problem = str(error)
            if not self._changed.is_set():
                news = self.news
                self._publish(News(question, news.state, news.page, problem))
                self._changed.wait(_PAUSE)

    def _watch(self, line: Line, question: Question) -> None:
        request = WatchRequest(
            order_by=question.order.value, contains=question.contains, page_size=MOST
        )
        request.interval.FromNanoseconds(round(self._interval * 1e9))
        for state in line.watch(request):
            if self._changed.is_set():
                return
            page = _page(line, question.tenant) if question.tenant else None
            self._publish(News(question, state, page, "", *self._rates(state)))

    def _rates(self, state: WatchResponse) -> tuple[float | None, float | None]:
        """Leases and refusals per second since the look before."""
        leases = sum(database.leases for database in state.databases)
        refused = sum(sum(database.refused.values()) for database in state.databases)
        before, self._sums = self._sums, (monotonic(), leases, refused)
        if before is None or leases < before[1]:  # the first look, or another service
            return None, None
        passed = max(self._sums[0] - before[0], 1e-3)
        return (leases - before[1]) / passed, (refused - before[2]) / passed

    def _publish(self, news: News) -> None:
        self.news = news
        self._wake()


def _page(line: Line, tenant: str) -> Page | None:
    """None: there is no such tenant any more."""
    try:
        found = line.call("GetTenant", GetTenantRequest(tenant=tenant))
    except UnknownTenant:
        return None
    answer = line.call("ListLeases", ListLeasesRequest(prefix=f"{tenant}/", page_size=MOST))
    leases = sorted(answer.leases, key=lambda lease: -lease.held.ToNanoseconds())
    return Page(found, leases, bool(answer.next_page_token))
