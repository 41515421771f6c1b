"""The desk: where leases are asked for, kept alive and given back, whichever way they came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, Lease, LeaseRef, Renewal
from tenantpool.v1.session_pb2 import SessionResponse

if TYPE_CHECKING:
    from .identity import Identity


class Session:
    """A worker that is connected: its leases live as long as its heartbeats come."""

    session_id: str
    identity: Identity
    worker: str


class Loan:
    """A lease of the service."""

    lease_id: str

    def grant(self) -> Lease:
        """The lease as the wire says it."""
        raise NotImplementedError


class Desk:
    """Lends, for every transport."""

    # -- leases --------------------------------------------------------------------------------

    async def acquire(
        self, caller: Session | Identity, wanted: AcquireLeaseRequest, within: float | None
    ) -> Loan:
        """Lend a connection; *within*: seconds that the caller itself waits for the answer.

        Answers 0.1 s before that. Raises NotAllowed, BadRequest, RequestConflict, Refused. When
        it is cancelled, nothing is left of the request.
        """
        raise NotImplementedError

    def renew(
        self, identity: Identity, refs: Iterable[LeaseRef], ttl: float | None
    ) -> list[Renewal]:
        """Keep leases alive; each answers for itself (other identities' leases: LEASE_EXPIRED)."""
        raise NotImplementedError

    def release(self, identity: Identity, ref: LeaseRef, *, broken: bool) -> None:
        """Take a lease back. One that has ended is no error; a stale token raises StaleToken."""
        raise NotImplementedError

    def revoke(self, prefix: str, drain_within: float, reason: str) -> int:
        """Want the leases back whose id begins so; return how many there are."""
        raise NotImplementedError

    # -- sessions ------------------------------------------------------------------------------

    def begin(
        self,
        identity: Identity,
        worker: str,
        deliveries: Iterable[int],
        notify: Callable[[SessionResponse], None],
    ) -> Session:
        """Begin a session; notices go to *notify*. Raises NotAllowed, IdentityLimit, Draining."""
        raise NotImplementedError

    def beat(self, session: Session) -> None:
        """The worker is alive. Raises LeaseEnded if its session has ended."""
        raise NotImplementedError

    async def leave(self, session: Session) -> None:
        """Goodbye: take back all it has, now. Blocks until every lease has ended."""
        raise NotImplementedError

    def part(self, session: Session) -> None:
        """Its stream has ended without a goodbye: the session lives on until its TTL."""
        raise NotImplementedError
