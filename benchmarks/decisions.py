"""What one decision of the core costs, with 10 to 100,000 tenants and 10,000 waiters.

A steady churn: a lease comes back, its slot goes to whoever deserves it most (at once, or through
a close and a connect), and the caller asks again and waits. Every event is timed by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter_ns

from benchmarks.measure import Effort, Result, quantile
from tenantpool.core.actions import Actions, Answer, Close, Open
from tenantpool.core.database import Database
from tenantpool.core.limits import DatabaseLimits, TenantLimits
from tenantpool.core.request import GRANTED, Request
from tenantpool.core.tenant import Tenant

CAPACITIES = (50, 500)
MICROSECONDS_AT_MOST = 20.0
GROWTH_AT_MOST = 3.0


@dataclass(frozen=True, slots=True)
class Size:
    """*turns* of a churn with *waiters*, for each number of *tenants*."""

    tenants: tuple[int, ...]
    waiters: int
    turns: int


LARGE = (10, 1_000, 100_000)
SIZES = {
    Effort.FULL: Size(LARGE, waiters=10_000, turns=20_000),
    Effort.QUICK: Size(LARGE, waiters=10_000, turns=5_000),
    Effort.TINY: Size((10, 1_000), waiters=500, turns=200),
}

_TICK = 0.0001
"""Virtual seconds from one event to the next: some leases end within their quantum."""


class Churn:
    """A database whose slots are all lent, and a shell that does everything at once."""

    def __init__(self, tenants: int, capacity: int, waiters: int) -> None:
        limit = DatabaseLimits(capacity, connect_concurrency=16, min_connection_age=0.0)
        self.db = Database("main", limit)
        limits = TenantLimits("basic", cap=max(10, capacity), max_waiting=waiters)
        self.now = 0.0
        self.tenants = [self.db.tenant(0.0, f"t{n}", limits, n) for n in range(tenants)]
        self.leases: deque[Request] = deque()
        self.costs: list[int] = []
        self._asked = 0
        for _ in range(capacity + waiters):
            self.ask()
        self.costs.clear()

    def turn(self) -> None:
        """One lease ends, and its caller asks again."""
        self.give_back(self.leases.popleft())
        self.ask()

    def ask(self) -> None:
        """A request of the next tenant, in an order that mixes them."""
        request = Request(self.tenants[self._asked * 7919 % len(self.tenants)])
        self._asked += 1
        actions = self._timed(self.db.request, request)
        if request.state == GRANTED and Answer(request) not in actions:
            self.leases.append(request)
        self._perform(actions)

    def give_back(self, request: Request) -> None:
        """Return a lease."""
        self._perform(self._timed(self.db.release, request))

    def _timed(self, event: Callable[..., Actions], *args: object) -> Actions:
        self.now += _TICK
        started = perf_counter_ns()
        actions = event(self.now, *args)
        self.costs.append(perf_counter_ns() - started)
        return actions

    def _perform(self, actions: Actions) -> None:
        for action in actions:
            match action:
                case Open(slot):
                    self._perform(self._timed(self.db.opened, slot, 0.005))
                case Close(slot):
                    self._perform(self._timed(self.db.closed, slot))
                case Answer(request):
                    self.leases.append(request)


def uncontended(rounds: int) -> float:
    """Microseconds of a request that finds an idle connection, and of its return, together."""
    db = Database("main", DatabaseLimits(10))
    tenant: Tenant = db.tenant(0.0, "acme", TenantLimits("basic", cap=10), "acme")
    first = Request(tenant)
    db.request(0.0, first)
    db.opened(0.0, next(iter(db.slots)), 0.005)
    db.release(0.0, first)
    costs = []
    for number in range(rounds):
        now, lease = number * _TICK, Request(tenant)
        started = perf_counter_ns()
        db.request(now, lease)
        db.release(now, lease)
        costs.append(perf_counter_ns() - started)
    return median(costs) / 1000


def run(effort: Effort) -> Result:
    """The cost of a decision at each size, and without contention."""
    size = SIZES[effort]
    result = Result("decisions", f"one decision, with {size.waiters:,} waiters")
    for capacity in CAPACITIES:
        medians = []
        for tenants in size.tenants:
            churn = Churn(tenants, capacity, size.waiters)
            for _ in range(size.turns):
                churn.turn()
            costs = [cost / 1000 for cost in churn.costs]
            medians.append(median(costs))
            what = f"{tenants:,} tenants, {capacity} slots"
            result.at_most(f"{what}: median", medians[-1], MICROSECONDS_AT_MOST, " µs")
            result.show(f"{what}: p99", f"{quantile(costs, 0.99):.1f} µs")
            result.raw[what] = {"median_us": medians[-1], "p99_us": quantile(costs, 0.99)}
        growth = medians[-1] / medians[0]
        what = f"{size.tenants[-1]:,} against {size.tenants[0]} tenants, {capacity} slots"
        result.at_most(what, growth, GROWTH_AT_MOST, " ×")
    cost = uncontended(size.turns)
    result.show("request and release without contention", f"{cost:.2f} µs")
    result.raw["uncontended_us"] = cost
    result.notes.append("The cost of every event of a steady churn, timed one by one.")
    return result


def main() -> None:
    """Print the figures."""
    for figure in run(Effort.FULL).figures:
        target = f"(target {figure.target}: {figure.verdict})" if figure.target else ""
        print(f"{figure.what:48} {figure.value:>10} {target}")


if __name__ == "__main__":
    main()
