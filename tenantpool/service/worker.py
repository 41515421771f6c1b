"""A worker that has a session, and the husks it keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from tenantpool.core.pool import Pool
from tenantpool.core.tenure import Attendance
from tenantpool.v1.lease_pb2 import Delivery, HandOffWay
from tenantpool.v1.session_pb2 import SessionResponse

from .identity import Identity


class Husk(NamedTuple):
    """A libpq object in a worker, to be filled with one connection after the other.

    libpq was told once, at its start-up, what session it is in and how to cancel: so it takes only
    connections of the same *pool* with the same *parameters*, and its cancel key stays the same.
    *way* is what a lease says that comes into it.
    """

    pool: Pool
    parameters: Mapping[str, str]
    cancel_key: tuple[int, int]
    way: HandOffWay


class Worker:
    """A process that borrows: its leases live as long as its heartbeats come."""

    __slots__ = (
        "attendance",
        "deliveries",
        "husks",
        "identity",
        "leases",
        "name",
        "notify",
        "quiet_until",
        "session_id",
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
    ) -> None:
        self.session_id = session_id
        self.identity = identity
        self.name = name
        self.deliveries = deliveries
        self.notify = notify
        self.attendance = Attendance(now, ttl, self)
        self.husks: dict[int, Husk] = {}
        self.leases = 0
        self.quiet_until = 0.0

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name!r} of {self.identity.name}, {self.leases} leases>"
        )
