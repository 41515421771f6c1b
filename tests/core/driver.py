"""A shell on a fake clock: it performs what the core asks for, so that tests read like sentences.

Connects take ``connect`` seconds and closes ``close`` seconds of a time that only ``run`` moves.
Pools that are named in ``failing`` answer with that failure instead of a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from typing import NamedTuple

from tenantpool.core.actions import (
    Actions,
    Answer,
    Close,
    Departed,
    Elsewhere,
    Notice,
    Open,
    Recall,
    Reset,
    Unpark,
    WakeAt,
    Warmed,
)
from tenantpool.core.breaker import OPEN
from tenantpool.core.database import Database
from tenantpool.core.limits import DatabaseLimits, TenantLimits
from tenantpool.core.pool import Pool
from tenantpool.core.request import REFUSED, Request
from tenantpool.core.slot import OPENING, Slot
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Refused


class Failure(NamedTuple):
    """How a connect fails."""

    error: BaseException = ConnectionError("connection refused")
    everywhere: bool = False
    final: bool = False


UNREACHABLE = Failure(ConnectionError("no route to host"), everywhere=True)
NO_SUCH_DATABASE = Failure(ConnectionError("database does not exist"), final=True)
REFUSED_ONCE = Failure(ConnectionError("too many connections for role"))


class World:
    """One database, its clock, and everything that is under way."""

    def __init__(
        self, capacity: int = 10, *, connect: float = 0.01, close: float = 0.001, **limits: object
    ) -> None:
        self.db = Database("main", DatabaseLimits(capacity, **limits))  # type: ignore[arg-type]
        self.now = 0.0
        self.connect = connect
        self.close = close
        self.failing: dict[str, Failure] = {}
        self.dirty = False
        """Whether a wiped session turns out not to be clean."""
        self.notices: list[Notice] = []
        self.answered: list[Request] = []
        self.warmed: list[Pool] = []
        self.opens: list[Slot] = []
        self.closes: list[Close] = []
        self.resets: list[Slot] = []
        self.wakes: list[float] = []
        self.recalls: list[Recall] = []
        self.unparked: list[Request] = []
        self.departed: list[Tenant] = []
        self.elsewhere: list[Request] = []
        self._agenda: list[tuple[float, int, Callable[[], Actions]]] = []
        self._planned = 0

    # -- what a caller does ----------------------------------------------------------------------

    def tenant(self, name: str, pool: str = "", **limits: object) -> Tenant:
        """A tenant with a pool of its own, or in the one that is named."""
        values = {"tier": "basic", "cap": 5} | limits
        made = TenantLimits(**values)  # type: ignore[arg-type]
        return self.db.tenant(self.now, name, made, pool or name, pool or name)

    def change(self, tenant: Tenant, **limits: object) -> None:
        """Give the tenant some other limits."""
        made = replace(tenant.limits, **limits)  # type: ignore[arg-type]
        self.perform(self.db.set_tenant(self.now, tenant, made, tenant.session))

    def ask(self, tenant: Tenant, *, priority: int = 0) -> Request:
        """Ask for a connection now; nothing has been performed yet."""
        request = Request(tenant, priority)
        self.perform(self.db.request(self.now, request))
        return request

    def ask_for(self, count: int, tenant: Tenant) -> list[Request]:
        """Ask *count* times."""
        return [self.ask(tenant) for _ in range(count)]

    def lease(self, tenant: Tenant) -> Request:
        """Ask, and go on in time until it is granted."""
        request = self.ask(tenant)
        for _ in range(10):
            if request.slot is not None:
                request.slot.tenant = request.tenant  # its session has been applied
                return request
            self.run(self.connect + self.close)
        raise AssertionError(f"{request} was not granted: {request.error}")

    def lease_all(self, count: int, tenant: Tenant) -> list[Request]:
        """Hold *count* leases."""
        return [self.lease(tenant) for _ in range(count)]

    def refusal(self, tenant: Tenant) -> Refused:
        """Ask for what must be refused at once, and say how it was."""
        return refusal_of(self.ask(tenant))

    def give_back(self, *requests: Request, healthy: bool = True) -> None:
        """Return leases."""
        for request in requests:
            self.perform(self.db.release(self.now, request, healthy=healthy))

    def cancel(self, request: Request) -> None:
        """The caller goes away."""
        self.perform(self.db.cancel(self.now, request))

    def expire(self, request: Request) -> Refused:
        """The caller's time is over."""
        self.perform(self.db.expire(self.now, request))
        return refusal_of(request)

    def open_idle(self, count: int, tenant: Tenant) -> None:
        """Give the tenant's pool *count* connections that nobody uses."""
        self.give_back(*self.lease_all(count, tenant))

    def trip(self, tenant: Tenant) -> Request:
        """Let connects of the tenant's pool fail until its breaker opens."""
        self.failing[tenant.pool.name] = REFUSED_ONCE
        request = self.ask(tenant)
        self.run(0.2)
        assert tenant.pool.breaker.state == OPEN
        return request

    def sweep(self) -> None:
        """Upkeep of every pool."""
        for pool in list(self.db.pools.values()):
            self.perform(self.db.sweep(self.now, pool))

    # -- time ------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass: what is due meanwhile happens."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, step = heappop(self._agenda)
            self.perform(step())
        self.now = end

    def settle(self) -> None:
        """Let time pass until everything that is under way has ended."""
        while self._agenda:
            self.run(self._agenda[0][0] - self.now)

    def perform(self, actions: Actions) -> None:
        """Do what the core has asked for."""
        for action in actions:
            match action:
                case Open(slot):
                    self.opens.append(slot)
                    self._at(self.now + self.connect, partial(self._connected, slot))
                case Close(slot):
                    self.closes.append(action)
                    self._at(self.now + self.close, partial(self._gone, slot))
                case Reset(slot):
                    self.resets.append(slot)
                    self._at(self.now, partial(self._wiped, slot))
                case Answer(request):
                    self.answered.append(request)
                case WakeAt(when):
                    self.wakes.append(when)
                    self._at(when, self._woken)
                case Warmed(pool):
                    self.warmed.append(pool)
                case Recall():
                    self.recalls.append(action)
                case Unpark(request):
                    self.unparked.append(request)
                case Departed(tenant):
                    self.departed.append(tenant)
                case Elsewhere(request):
                    self.elsewhere.append(request)
                case Notice():
                    self.notices.append(action)

    def _at(self, when: float, step: Callable[[], Actions]) -> None:
        self._planned += 1
        heappush(self._agenda, (when, self._planned, step))

    def _connected(self, slot: Slot) -> Actions:
        failure = self.failing.get(slot.pool.name)
        if failure is None:
            return self.db.opened(self.now, slot, self.connect)
        return self.db.open_failed(
            self.now, slot, failure.error, everywhere=failure.everywhere, final=failure.final
        )

    def _gone(self, slot: Slot) -> Actions:
        return self.db.closed(self.now, slot)

    def _woken(self) -> Actions:
        return self.db.wake(self.now)

    def _wiped(self, slot: Slot) -> Actions:
        return self.db.cleaned(self.now, slot, healthy=not self.dirty)

    # -- what can be seen ------------------------------------------------------------------------

    def told(self, event: str) -> list[dict[str, object]]:
        """The fields of every notice of that event."""
        return [notice.fields for notice in self.notices if notice.event == event]

    def opening(self, tenant: Tenant) -> int:
        """Connects under way for the tenant's pool."""
        return sum(slot.state == OPENING for slot in tenant.pool.slots)


def refusal_of(request: Request) -> Refused:
    """Why *request* was refused; it must have been."""
    assert request.state == REFUSED, request
    assert request.error is not None
    return request.error


def states(requests: list[Request]) -> list[str]:
    """What has become of each."""
    return [request.state for request in requests]
