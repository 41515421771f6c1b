"""What takes the service longer to say than how it does: asked for only while it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tenantpool.cli.connection import Admin, Line
from tenantpool.cli.top.asking import Asking
from tenantpool.cli.top.view import Topic
from tenantpool.v1.admin_service_pb2 import (
    GetActivityRequest,
    GetActivityResponse,
    ListFindingsRequest,
    ListFindingsResponse,
)

_PACE = 2.0
"""Seconds between an answer and the next look."""

_MOST = 50
"""Findings that are asked for at a time: all of them are painted whenever a key is pressed."""


@dataclass(frozen=True)
class Told:
    """What is known of a topic; replaced as a whole."""

    topic: Topic | None = None
    activity: GetActivityResponse | None = None
    findings: ListFindingsResponse | None = None
    problem: str = ""
    """Why there is nothing newer."""


class Inquiry(Asking[Topic | None]):
    """Asks about a topic, from ``with`` to its end; None: about nothing.

    *wake* is called, by a thread of its own, when something was ``told``; it must not block.
    """

    def __init__(self, admin: Admin, wake: Callable[[], None]) -> None:
        super().__init__(admin, None)
        self.told = Told()
        self._wake = wake

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._admin!r} about {self._question}>"

    def _converse(self, line: Line, question: Topic | None) -> None:
        if question is None:
            self._rest(None)
        while question is not None and not self._is_other:
            self._publish(_ask(line, question))
            self._rest(_PACE)

    def _complain(self, question: Topic | None, problem: str) -> None:
        told = self.told if self.told.topic == question else Told()
        self._publish(Told(question, told.activity, told.findings, problem))

    def _publish(self, told: Told) -> None:
        self.told = told
        self._wake()


def _ask(line: Line, topic: Topic) -> Told:
    if topic.database:
        request = GetActivityRequest(database=topic.database)
        return Told(topic, activity=line.call("GetActivity", request))
    wanted = ListFindingsRequest(
        order_by=topic.ranking.value, contains=topic.contains, page_size=_MOST
    )
    return Told(topic, findings=line.call("ListFindings", wanted))
