"""A shell without a database: the real core on virtual time, with callers, connects and closes.

Everything that happens is drawn from one seeded generator, so the same seed gives the same
figures on every machine. The connections that would exist are counted here, apart from the core.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import accumulate
from math import inf
from random import Random
from typing import Any

from tenantpool.core.actions import Actions, Answer, Close, Open, WakeAt
from tenantpool.core.database import Database
from tenantpool.core.limits import DatabaseLimits, TenantLimits
from tenantpool.core.request import GRANTED, Request
from tenantpool.core.slot import Slot
from tenantpool.core.tenant import Tenant

CLOSE_SECONDS = 0.001


@dataclass(frozen=True)
class Worker:
    """A caller that thinks, asks for a connection of one tenant, holds it, and starts over."""

    choose: Callable[[], Tenant]
    think: float = 0.010
    """Mean seconds between two requests; 0: asks again at once."""
    hold: float = 0.004
    """Mean seconds that it holds a connection."""


class Job(Request):
    """One request of a worker."""

    __slots__ = ("worker",)

    def __init__(self, tenant: Tenant, worker: Worker) -> None:
        super().__init__(tenant)
        self.worker = worker


class Simulator:
    """One database and everything around it, on a clock that jumps from event to event."""

    def __init__(
        self, limits: DatabaseLimits, *, connect: float, at_once: float = inf, seed: int = 1
    ) -> None:
        """A connect takes *connect* seconds; more than *at_once* slow each other down."""
        self.db = Database("main", limits)
        self.random = Random(seed)
        self.connect = connect
        self.at_once = at_once
        self.now = 0.0
        self.waits = array("d")
        self.opened = 0
        self.connections = 0
        """Backends that exist or are about to: counted here, not by the core."""
        self.most_connections = 0
        self.refused = 0
        self._connecting = 0
        self._agenda: list[tuple[float, int, Callable[[Any], None], Any]] = []
        self._planned = 0
        self._wakes: set[float] = set()

    def tenant(self, name: str, limits: TenantLimits, pool: str = "") -> Tenant:
        """A tenant with a pool of its own, or in the one that is named."""
        return self.db.tenant(self.now, name, limits, pool or name)

    def zipf(self, tenants: list[Tenant], exponent: float) -> Callable[[], Tenant]:
        """Choose the tenant of rank k with a probability that is proportional to k^-exponent."""
        shares = list(accumulate(rank**-exponent for rank in range(1, len(tenants) + 1)))
        choices = self.random.choices
        return lambda: choices(tenants, cum_weights=shares)[0]

    def start(self, worker: Worker) -> None:
        """Let *worker* come in at some time within its first pause for thought."""
        self._at(
            self.now + self.random.uniform(0.0, worker.think or worker.hold), self._ask, worker
        )

    def run(self, *, seconds: float = inf, leases: float = inf) -> None:
        """Go on for so many virtual seconds, or until so many more leases have been given."""
        end, enough = self.now + seconds, len(self.waits) + leases
        agenda, waits = self._agenda, self.waits
        while agenda and agenda[0][0] <= end and len(waits) < enough:
            self.now, _, step, what = heappop(agenda)
            step(what)

    # -- steps -----------------------------------------------------------------------------------

    def _at(self, when: float, step: Callable[[Any], None], what: object) -> None:
        self._planned += 1
        heappush(self._agenda, (when, self._planned, step, what))

    def _pause(self, mean: float) -> float:
        return self.random.expovariate(1.0 / mean) if mean else 0.0

    def _ask(self, worker: Worker) -> None:
        job = Job(worker.choose(), worker)
        self._perform(self.db.request(self.now, job))
        if job.state == GRANTED and job.since == self.now:
            self._hold(job)
        elif job.error is not None:
            self.refused += 1
            self._at(self.now + self._pause(worker.think or worker.hold), self._ask, worker)

    def _hold(self, job: Job) -> None:
        self.waits.append(self.now - job.since)
        self._at(self.now + self._pause(job.worker.hold), self._give_back, job)

    def _give_back(self, job: Job) -> None:
        self._perform(self.db.release(self.now, job))
        self._at(self.now + self._pause(job.worker.think), self._ask, job.worker)

    def _connected(self, slot: Slot) -> None:
        self._connecting -= 1
        self._perform(self.db.opened(self.now, slot, self.connect))

    def _gone(self, slot: Slot) -> None:
        self.connections -= 1
        self._perform(self.db.closed(self.now, slot))

    def _wake(self, when: float) -> None:
        self._wakes.discard(when)
        self._perform(self.db.wake(self.now))

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Answer(request):
                    assert isinstance(request, Job)
                    if request.since != self.now:  # else ``_ask`` sees it itself
                        self._hold(request)
                case Open(slot):
                    self._begin_connect(slot)
                case Close(slot):
                    self._at(self.now + CLOSE_SECONDS, self._gone, slot)
                case WakeAt(when) if when not in self._wakes:
                    self._wakes.add(when)
                    self._at(when, self._wake, when)

    def _begin_connect(self, slot: Slot) -> None:
        self.opened += 1
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        self._connecting += 1
        crowd = max(1.0, self._connecting / self.at_once)
        self._at(self.now + self.connect * crowd, self._connected, slot)

    # -- figures ---------------------------------------------------------------------------------

    def figures(self) -> Figures:
        """What came out of it, from the first event on."""
        waits = sorted(self.waits)
        lent = sum(tenant.counters.held for tenant in self.db.tenants.values())
        return Figures(
            leases=len(waits),
            seconds=self.now,
            overshoot=max(0, self.most_connections - self.db.limits.capacity),
            utilisation=lent / (self.db.limits.capacity * self.now),
            connects=self.opened,
            wait_p50=_quantile(waits, 0.50),
            wait_p99=_quantile(waits, 0.99),
            wait_longest=waits[-1] if waits else 0.0,
            refused=self.refused,
        )


@dataclass(frozen=True)
class Figures:
    """The result of one run; times in virtual seconds."""

    leases: int
    seconds: float
    overshoot: int
    """Connections above the capacity at the worst moment."""
    utilisation: float
    """Part of all slot time in which a slot was lent."""
    connects: int
    wait_p50: float
    wait_p99: float
    wait_longest: float
    refused: int

    @property
    def leases_per_second(self) -> float:
        """Leases given per virtual second."""
        return self.leases / self.seconds

    @property
    def connects_per_second(self) -> float:
        """Connects per virtual second: slots that changed pools, once all are open."""
        return self.connects / self.seconds


def jain(shares: list[float]) -> float:
    """Jain's fairness index: 1 if all shares are equal, 1/n if one has everything."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def _quantile(ordered: list[float], q: float) -> float:
    return ordered[int(q * (len(ordered) - 1))] if ordered else 0.0
