"""What the service says, read by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from tenantpool.cli.connection import Admin, Line
from tenantpool.cli.top.asking import Asking
from tenantpool.cli.top.view import MOST, Question
from tenantpool.errors import UnknownTenant
from tenantpool.v1.admin_service_pb2 import (
    GetTenantRequest,
    GetTenantResponse,
    LeaseState,
    ListLeasesRequest,
    WatchRequest,
    WatchResponse,
)


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


class Feed(Asking[Question]):
    """Watches the service, from ``with`` to its end.

    *wake* is called, by the feed's thread, when there are ``news``; it must not block.
    """

    def __init__(
        self, admin: Admin, question: Question, interval: float, wake: Callable[[], None]
    ) -> None:
        super().__init__(admin, question)
        self.news = News(question)
        self._interval = interval
        self._wake = wake
        self._sums: tuple[float, int, int] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._admin!r}: {self.news.problem or 'well'}>"

    def _converse(self, line: Line, question: Question) -> None:
        request = WatchRequest(
            order_by=question.order.value, contains=question.contains, page_size=MOST
        )
        request.interval.FromNanoseconds(round(self._interval * 1e9))
        for state in line.watch(request):
            if self._is_other:
                return
            page = _page(line, question.tenant) if question.tenant else None
            self._publish(News(question, state, page, "", *self._rates(state)))

    def _complain(self, question: Question, problem: str) -> None:
        self._publish(News(question, self.news.state, self.news.page, problem))

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
