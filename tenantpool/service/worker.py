"""A worker that has a session, and the husks it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from tenantpool.core.bucket import TokenBucket
from tenantpool.core.pool import Pool
from tenantpool.core.tenure import Attendance
from tenantpool.errors import TenantpoolError
from tenantpool.v1.lease_pb2 import Delivery, HandOffWay
from tenantpool.v1.session_pb2 import SessionResponse

from .identity import Identity

_REPORTS_PER_SECOND = 16.0
_MOST_REPORTS = 64
"""Findings at once."""


class Husk(NamedTuple):
    """A libpq object in a worker, to be filled with one connection after the other.

    libpq was told at its start-up how to cancel, so its cancel key stays the same. It knows the
    *parameters* of the session that it had last, of *pool*; what is different in another one, the
    worker tells it. *way* is what a lease says that comes into it when nothing is.
    """

    pool: Pool
    parameters: Mapping[str, str]
    cancel_key: tuple[int, int]
    way: HandOffWay


class Line(Protocol):
    """A stream or channel of a session."""

    def end(self, error: TenantpoolError) -> None:
        """Tell the worker why, and hang up. Does not block."""


class Worker:
    """A process that borrows: its leases live as long as its heartbeats come.

    *ttl* is how long it may be silent, in seconds, as it was told; *grace* comes on top of that.
    One that is ``barred``, for the reason that stands there, gets nothing any more; its session
    ends when what it holds has come back.
    """

    __slots__ = (
        "attendance",
        "barred",
        "deliveries",
        "husks",
        "identity",
        "leases",
        "lines",
        "name",
        "notify",
        "quiet_until",
        "reports",
        "session_id",
        "ttl",
    )

    def __init__(
        self,
        session_id: str,
        identity: Identity,
        name: str,
        deliveries: frozenset[Delivery],
        notify: Callable[[SessionResponse], None],
        now: float,
        ttl: float,
        grace: float,
    ) -> None:
        self.session_id = session_id
        self.identity = identity
        self.name = name
        self.deliveries = deliveries
        self.notify = notify
        self.ttl = ttl
        self.attendance = Attendance(now, ttl + grace, self)
        self.barred = ""
        self.lines: set[Line] = set()
        self.husks: dict[int, Husk] = {}
        self.leases = 0
        self.quiet_until = 0.0
        self.reports = TokenBucket(_REPORTS_PER_SECOND, _MOST_REPORTS, now)

    def __repr__(self) -> str:
        barred = ", barred" if self.barred else ""
        who = f"{self.name!r} of {self.identity.name}"
        return f"<{type(self).__name__} {who}, {self.leases} leases{barred}>"

    def adopt(self, ttl: float, grace: float) -> None:
        """The rules have changed. Its heartbeats go by what it was told, so never less of it."""
        self.ttl = max(self.ttl, ttl)
        self.attendance.ttl = self.ttl + grace
