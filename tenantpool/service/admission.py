"""Who may ask for a lease at all, and how many an identity may have."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, TypeAlias

from google.protobuf.duration_pb2 import Duration

from tenantpool.errors import BadRequest, Draining, IdentityLimit, NotAllowed
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest

from .identity import Identity
from .loan import Loan
from .worker import Worker

if TYPE_CHECKING:
    from .desk import Desk

Caller: TypeAlias = Worker | Identity

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

        Raises NotAllowed, BadRequest, Draining, IdentityLimit, UnknownTenant.
        """
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
        )
        self._taken[identity.name] += 1
        return loan

    def dismiss(self, loan: Loan) -> None:
        """It was refused, or has ended."""
        self._taken[loan.identity.name] -= 1

    def _check(self, identity: Identity, wanted: AcquireLeaseRequest) -> None:
        if not identity.may_lease(wanted.tenant):
            raise NotAllowed(f"{identity.name} may not lease connections of {wanted.tenant!r}")
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
