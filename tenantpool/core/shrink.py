"""A limit has been lowered below what is in use: what happens until that is given back.

The steps, in this order: nothing is granted above the new limit, idle connections above it are
closed, holders are asked with a deadline, and at the deadline leases are ended. How far that goes
is said by the tier of each lease. Whenever a step is due, what is still above the limit is counted
anew: if the limit has been raised, or enough came back by itself, nobody is ended any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from .actions import Answer, Notice, Recall, Unpark, WakeAt
from .limits import RETURN, STEPS, TERMINATE, DatabaseLimits
from .request import GRANTED, RETURNED, REVOKED, Request
from .scheduler import Scheduler
from .slot import IN_USE, Slot
from .tenant import Tenant


class Shrink:
    """One limit on its way down.

    *how* is the furthest step it may take where one tier decides, *target* the limit that is to
    be reached, *leases* those that have been asked for or, by a tier that only waits, not.
    """

    __slots__ = ("due", "how", "leases", "target", "tenant", "terminated")

    def __init__(self, tenant: Tenant | None, target: int, how: str) -> None:
        self.tenant = tenant
        """Whose limit it is; None: the capacity of the database."""
        self.target = target
        self.how = how
        self.leases: dict[Request, float] = {}
        """With the deadline of each, in seconds as ``now``."""
        self.due = inf
        """When leases may have to be ended."""
        self.terminated = 0

    def __repr__(self) -> str:
        of = self.tenant.name if self.tenant is not None else "the capacity"
        return (
            f"<Shrink of {of} to {self.target}: {len(self.outstanding)} of {len(self.leases)} out>"
        )

    @property
    def outstanding(self) -> list[Request]:
        """Its leases that have not ended."""
        return [request for request in self.leases if request.state == GRANTED]


class Shrinks(Scheduler):
    """Takes the steps."""

    def __init__(self, name: str, limits: DatabaseLimits) -> None:
        super().__init__(name, limits)
        self._shrinks: dict[Tenant | None, Shrink] = {}

    # -- a tenant ------------------------------------------------------------------------------

    def _review(self, now: float, tenant: Tenant, before: int, why: str) -> None:
        """The ceiling of *tenant*, or how far its tier goes, may have changed.

        All its holders are asked, as they know best what to give back. It begins anew, with all
        the time for everybody, if it has to go further than it did.
        """
        shrink, how = tenant.shrink, tenant.limits.shrink
        if not tenant.over:
            self._shrunk(shrink)
        elif shrink is None or tenant.ceiling < shrink.target or _is_harsher(how, shrink.how):
            tenant.shrink = shrink = Shrink(tenant, tenant.ceiling, how)
            self._begin(now, shrink, before, tenant.over, _leases_of(tenant, self.slots), why)
            tenant.watched = True
        else:
            shrink.target, shrink.how = tenant.ceiling, how

    def _lease_ended(self, tenant: Tenant, held: float) -> None:
        super()._lease_ended(tenant, held)
        if tenant.shrink is not None and not tenant.over:
            self._shrunk(tenant.shrink)

    # -- the capacity --------------------------------------------------------------------------

    @property
    def above(self) -> int:
        """Leases that have to end for the capacity to be kept: what is not lent closes anyway."""
        return sum(slot.state == IN_USE for slot in self.slots) - self.limits.capacity

    def _review_capacity(self, now: float, before: int) -> None:
        """The capacity may have changed.

        As many are asked as have to go, by tenant: who has most per weight above its guarantee
        gives first, and of its leases the youngest.
        """
        shrink, capacity, above = self._shrinks.get(None), self.limits.capacity, self.above
        if self.used <= capacity:
            self._shrunk(shrink)
        elif above > 0 and (shrink is None or capacity < shrink.target):
            shrink = shrink or Shrink(None, capacity, TERMINATE)
            missing = self._missing(now, above)
            self._begin(now, shrink, before, above, missing, self._why())
        elif shrink is not None:
            shrink.target = capacity

    def _missing(self, now: float, above: int) -> list[Request]:
        """Whom to ask besides those who have been, so that *above* leases come back."""
        shrink = self._shrinks.get(None)
        asked = shrink.leases if shrink is not None else {}
        hoped = sum(asked[r] > now for r in asked if r.state == GRANTED)
        return [r for r in givers(self.slots) if r not in asked][: max(0, above - hoped)]

    def _why(self) -> str:
        return f"the capacity of {self.name} was lowered to {self.limits.capacity}"

    def _closed(self, now: float, slot: Slot) -> None:
        super()._closed(now, slot)
        if None in self._shrinks and self.used <= self.limits.capacity:
            self._shrunk(self._shrinks[None])

    # -- the steps -----------------------------------------------------------------------------

    def _unpark(self, tenant: Tenant) -> None:
        """The leases of *tenant* end with the use that their holders make of them now."""
        self._actions += [Unpark(request) for request in _leases_of(tenant, self.slots)]

    def _begin(
        self,
        now: float,
        shrink: Shrink,
        before: int,
        above: int,
        leases: list[Request],
        why: str,
    ) -> None:
        """Ask for *leases*, or tell the operator that all that can be done is to wait."""
        shrink.target = self.limits.capacity if shrink.tenant is None else shrink.tenant.ceiling
        self._shrinks[shrink.tenant] = shrink
        self._ask(now, shrink, leases, why)
        fields: dict[str, object] = {"from": before, "to": shrink.target, "above": above}
        if shrink.tenant is not None:
            fields["tenant"] = shrink.tenant.name
        if shrink.due < inf:
            deadlines = [shrink.leases[r] for r in shrink.outstanding]
            fields["within"] = round(max(when for when in deadlines if when < inf) - now, 3)
            self._actions.append(WakeAt(shrink.due))
        self._actions.append(Notice("shrinking", fields))

    def _ask(self, now: float, shrink: Shrink, leases: list[Request], why: str) -> None:
        for request in leases:
            limits = request.tenant.limits
            if limits.shrink == RETURN:
                shrink.leases[request] = inf
                self._actions.append(Unpark(request))
                continue
            shrink.leases[request] = deadline = now + limits.shrink_grace
            self._actions.append(Recall(request, deadline, why))
        later = [shrink.leases[r] for r in shrink.outstanding if shrink.leases[r] > now]
        shrink.due = min(later, default=inf)

    def _end_overdue(self, now: float) -> None:
        """End what has not come back in time, as far as it is still above the limit."""
        for shrink in list(self._shrinks.values()):
            if shrink.due <= now:
                self._enforce(now, shrink)
        due = min((shrink.due for shrink in self._shrinks.values()), default=inf)
        if due < inf:
            self._actions.append(WakeAt(due))

    def _enforce(self, now: float, shrink: Shrink) -> None:
        tenant = shrink.tenant
        for request in self._overdue(now, shrink):
            if (self.above if tenant is None else tenant.over) <= 0:
                break
            shrink.terminated += 1
            self._revoke(now, request)
        missing = self._missing(now, self.above) if tenant is None else []
        self._ask(now, shrink, missing, self._why())

    def _overdue(self, now: float, shrink: Shrink) -> list[Request]:
        """Leases whose time is over and that may be ended, the youngest of a tenant first."""
        late = [r for r in shrink.outstanding if shrink.leases[r] <= now]
        return [r for r in late if r.tenant.limits.shrink == TERMINATE]

    def _shrunk(self, shrink: Shrink | None) -> None:
        """The limit is kept again, or has been raised."""
        if shrink is None:
            return
        del self._shrinks[shrink.tenant]
        fields: dict[str, object] = {"to": shrink.target}
        if shrink.tenant is not None:
            shrink.tenant.shrink = None
            shrink.tenant.reckon(closing=self.closing)
            fields["tenant"] = shrink.tenant.name
        fields["returned"] = sum(request.state == RETURNED for request in shrink.leases)
        fields["terminated"] = shrink.terminated
        self._actions.append(Notice("shrunk", fields))

    def _revoke(self, now: float, request: Request) -> None:
        slot = self._end_lease(now, request, REVOKED)
        request.tenant.counters.revoked += 1
        request.tenant.tally.revoked += 1
        self._close(slot, revoked=True)
        self._actions += [Answer(request), Notice("revoked", account(now, request))]
        self._make_up(now, request.tenant)


def account(now: float, request: Request) -> dict[str, object]:
    """A lease in words that can be kept: the lease itself would keep its connection alive."""
    held = now - request.granted_at
    return {"tenant": request.tenant.name, "holder": request.holder, "held": held}


def givers(slots: Iterable[Slot]) -> list[Request]:
    """All leases that may be asked for, in the order in which they are to go.

    Each is worth what its tenant would have per weight above its guarantee if those before it had
    gone: who has the most gives first, and of each the youngest lease first.
    """
    held: dict[Tenant, list[Request]] = {}
    for slot in slots:
        if slot.request is not None:
            held.setdefault(slot.request.tenant, []).append(slot.request)
    worth: list[tuple[float, Request]] = []
    for tenant, leases in held.items():
        limits = tenant.limits
        if limits.shrink == RETURN:
            continue
        guarantee = 0 if tenant.departed else limits.guarantee
        leases.sort(key=_granted_at, reverse=True)
        for gone, request in enumerate(leases):
            worth.append(((len(leases) - gone - guarantee) / limits.weight, request))
    worth.sort(key=_worth, reverse=True)
    return [request for _, request in worth]


def _leases_of(tenant: Tenant, slots: Iterable[Slot]) -> list[Request]:
    """All of *tenant*'s, in whichever pool, the youngest first."""
    leases = [s.request for s in slots if s.request is not None and s.request.tenant is tenant]
    return sorted(leases, key=_granted_at, reverse=True)


def _granted_at(request: Request) -> float:
    return request.granted_at


def _worth(entry: tuple[float, Request]) -> float:
    return entry[0]


def _is_harsher(how: str, before: str) -> bool:
    return STEPS.index(how) > STEPS.index(before)
