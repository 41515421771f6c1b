"""Who may ask for a lease at all, and how many an identity may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from google.protobuf.duration_pb2 import Duration

from tenantpool.errors import (
    BadRequest,
    Draining,
    IdentityLimit,
    LeaseEnded,
    NotAllowed,
    NotAuthenticated,
)
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, DirectWay

from .identity import Identity
from .loan import Loan
from .worker import Worker

if TYPE_CHECKING:
    from .desk import Desk

Caller: TypeAlias = Worker | Identity

Again: TypeAlias = Callable[[Identity], Identity]
"""The same identity by the rules of now. Raises NotAuthenticated if it is not known any more."""

_ANSWER_BEFORE = 0.1
"""Seconds before the caller gives up: its own DEADLINE_EXCEEDED would carry no reason."""
_LONGEST_TEXT = 128
_LONGEST_REQUEST_ID = 64


class Admission:
    """Turns what is wanted into a loan that may be asked for, and counts those of an identity."""

    def __init__(self, manager: AsyncManager) -> None:
        self.is_closed = False
        self._manager = manager
        self._taken: Counter[str] = Counter()
        self._epoch = 0
        self._again: Again = _the_same

    def __repr__(self) -> str:
        state = "closed" if self.is_closed else "open"
        return f"<{type(self).__name__} {state}, {self._taken.total()} taken>"

    def taken(self, identity: Identity) -> int:
        """Leases and waiting requests of *identity*."""
        return self._taken[identity.name]

    def admit(
        self, desk: Desk, caller: Caller, wanted: AcquireLeaseRequest, within: float | None
    ) -> Loan:
        """A loan that counts from now on, until it is ``dismiss``ed; see ``Desk.acquire``.

        Raises NotAllowed, BadRequest, Draining, IdentityLimit, UnknownTenant; of a session that
        has ended LeaseEnded, of one that is about to NotAuthenticated.
        """
        check_session(caller)
        identity = identity_of(caller)
        self._check(identity, wanted)
        shell, seat = self._manager.seat(wanted.tenant)
        timeout = _read_seconds(wanted, "timeout")
        if within is not None:
            longest = seat.limits.acquire_timeout if timeout is None else timeout
            timeout = max(0.0, min(longest, within - _ANSWER_BEFORE))
        loan = Loan(
            desk,
            shell,
            seat,
            timeout=timeout,
            ttl=_read_seconds(wanted, "ttl"),
            priority=wanted.priority,
            identity=identity,
            worker=caller if isinstance(caller, Worker) else None,
            purpose=wanted.purpose,
            epoch=self._epoch,
        )
        self._taken[identity.name] += 1
        return loan

    def adopt(self, again: Again) -> None:
        """Other identities are known from now on, as *again* says; see ``confirm``."""
        self._again = again
        self._epoch += 1

    def confirm(self, loan: Loan) -> None:
        """It has waited: may it still be lent? Raises NotAuthenticated, NotAllowed."""
        if loan.epoch != self._epoch:
            loan.identity = self.keep(loan)
            loan.epoch = self._epoch

    def keep(self, loan: Loan) -> Identity:
        """Whose it is by the rules of now. Raises NotAuthenticated, NotAllowed: nobody's."""
        if loan.worker is not None:
            if loan.worker.barred:
                raise NotAuthenticated(loan.worker.barred)
            identity = loan.worker.identity
        else:
            identity = self._again(loan.identity)
        _check_tenant(identity, loan.tenant.name)
        if isinstance(loan.way, DirectWay) and not identity.may_direct:
            raise NotAllowed(f"{identity.name} may not connect to databases by itself any more")
        return identity

    def dismiss(self, loan: Loan) -> None:
        """It was refused, or has ended."""
        self._taken[loan.identity.name] -= 1

    def _check(self, identity: Identity, wanted: AcquireLeaseRequest) -> None:
        _check_tenant(identity, wanted.tenant)
        _check(wanted)
        if self.is_closed:
            raise Draining(wanted.tenant, "the service is closing")
        if identity.max_leases is not None and self.taken(identity) >= identity.max_leases:
            raise IdentityLimit(
                wanted.tenant, f"{identity.name} may hold {identity.max_leases} leases (max_leases)"
            )


def identity_of(caller: Caller) -> Identity:
    """Who is behind it."""
    return caller.identity if isinstance(caller, Worker) else caller


def check_session(caller: Caller) -> None:
    """May its session still get anything? Raises NotAuthenticated, LeaseEnded."""
    if isinstance(caller, Worker):
        if caller.barred:
            raise NotAuthenticated(caller.barred)
        if caller.attendance.is_over:
            raise LeaseEnded("the session has ended")


def _the_same(identity: Identity) -> Identity:
    return identity


def _check_tenant(identity: Identity, tenant: str) -> None:
    if not identity.may_lease(tenant):
        raise NotAllowed(f"{identity.name} may not lease connections of {tenant!r}")


def _check(wanted: AcquireLeaseRequest) -> None:
    if len(wanted.request_id) > _LONGEST_REQUEST_ID:
        raise BadRequest(f"request_id has more than {_LONGEST_REQUEST_ID} characters")
    if len(wanted.purpose) > _LONGEST_TEXT:
        raise BadRequest(f"purpose has more than {_LONGEST_TEXT} characters")


def _read_seconds(wanted: AcquireLeaseRequest, name: Literal["timeout", "ttl"]) -> float | None:
    """The duration of that name, None if it is absent. Raises BadRequest if it is negative."""
    if not wanted.HasField(name):
        return None
    found: Duration = getattr(wanted, name)
    length = found.seconds + found.nanos / 1e9
    if length < 0:
        raise BadRequest(f"{name} is negative")
    return length
