"""What is going on, for those who look again and again.

All tenants are ranked, which is cheap; only those that are shown are looked into. Others go on in
between: ten thousand tenants would be in their way for tens of milliseconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from heapq import nsmallest
from time import monotonic
from typing import Final, NamedTuple, TypeAlias

from tenantpool import __version__
from tenantpool.core.database import Database
from tenantpool.core.limits import TenantLimits
from tenantpool.core.tenant import Tenant
from tenantpool.errors import BadRequest, UnknownTenant
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager.health import Status, Verdict, assess
from tenantpool.manager.stats import ManagerStats, database_stats, tenant_stats
from tenantpool.observe.alerts.watch import Alerts
from tenantpool.v1 import admin_service_pb2 as pb

from .desk import Desk
from .loan import seconds
from .view import alert_view, database_view, tenant_view

_TENANTS = 100
_MOST_TENANTS = 1000
_MOST_WAITERS = 100

_RANKED, _VIEWED = 500, 10
"""How many tenants are ranked, and looked into, before others may go on: half a millisecond."""

Key: TypeAlias = Callable[[Tenant, float], tuple[float, ...]]
"""Of a tenant and the time; the largest come first."""

Found: TypeAlias = tuple[Database, Tenant]

LOAD: Final = "load"


def _waiting_for(tenant: Tenant, now: float) -> float:
    head = tenant.queue.best()
    return now - head.since if head is not None else 0.0


def _mean_wait(tenant: Tenant) -> float:
    counters = tenant.counters
    return counters.waits.total / counters.leases if counters.leases else 0.0


ORDERS: Final[dict[str, Key]] = {
    LOAD: lambda tenant, now: (tenant.in_use + len(tenant.queue), len(tenant.queue)),
    "wait": lambda tenant, now: (_waiting_for(tenant, now), _mean_wait(tenant)),
    "in_use": lambda tenant, now: (tenant.in_use,),
    "leases": lambda tenant, now: (tenant.counters.leases,),
    "refused": lambda tenant, now: (tenant.counters.refused.total(),),
    "name": lambda tenant, now: (),
}
"""What tenants are ordered by; equal ones by their names."""


class Wanted(NamedTuple):
    """Which tenants somebody looks for."""

    order: str = LOAD
    contains: str = ""
    most: int = _TENANTS

    @classmethod
    def of(cls, request: pb.WatchRequest) -> Wanted:
        """As the *request* says. Raises BadRequest."""
        order = request.order_by or LOAD
        if order not in ORDERS:
            raise BadRequest(f"order_by {order!r}: must be one of {', '.join(ORDERS)}")
        if request.page_size > _MOST_TENANTS:
            raise BadRequest(f"page_size is more than {_MOST_TENANTS}")
        return cls(order, request.contains.casefold(), request.page_size or _TENANTS)


class Overview:
    """Says what the manager and the desk are doing."""

    def __init__(self, manager: AsyncManager, desk: Desk, alerts: Alerts) -> None:
        self._manager = manager
        self._desk = desk
        self._alerts = alerts

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._manager!r}>"

    async def state(self, wanted: Wanted) -> pb.WatchResponse:
        """The state of now, with the tenants that are *wanted*."""
        cores = [shell.core for shell in self._manager.shells.values()]
        first, count = await _first(cores, wanted)
        tenants: list[pb.Tenant] = []
        for some in _slices(first, _VIEWED):
            tenants += self._views(some)
            await asyncio.sleep(0)
        databases = self.databases()
        status, summary = self._health(databases)
        return pb.WatchResponse(
            databases=databases,
            tenants=tenants,
            tenants_found=count,
            sessions=len(self._desk.sessions.workers),
            leases=len(self._desk.ledger.loans),
            version=__version__,
            status=status,
            summary=summary,
            alerts=map(alert_view, [*self._alerts.firing(), *self._alerts.pending()]),
        )

    def databases(self) -> list[pb.DatabaseState]:
        """All databases."""
        return [_database(shell.core) for shell in self._manager.shells.values()]

    def tenant(self, name: str) -> pb.GetTenantResponse:
        """One tenant in full. Raises UnknownTenant."""
        spec = self._manager.roster.tenant(name)
        response = pb.GetTenantResponse(
            tenant=tenant_view(spec, None),
            limits=_limits(spec.limits),
            breaker=pb.BreakerState(state="closed"),
        )
        shell = self._manager.shells.get(spec.pool.database)
        tenant = shell.core.tenants.get(name) if shell is not None else None
        if shell is None or tenant is None:
            return response
        now, breaker = monotonic(), tenant.pool.breaker
        response.tenant.CopyFrom(self.view(shell.core, tenant))
        response.breaker.state = breaker.state
        response.breaker.error = str(breaker.error or "").strip()
        if breaker.retry_at > now:
            response.breaker.retry_in.CopyFrom(seconds(breaker.retry_at - now))
        waiting = sorted(tenant.queue, key=tenant.queue.key)[:_MOST_WAITERS]
        response.waiters.extend(
            pb.Waiter(holder=r.holder, priority=r.priority, waited=seconds(now - r.since))
            for r in waiting
        )
        return response

    def view(self, core: Database, tenant: Tenant) -> pb.Tenant:
        """A tenant that was asked for, as a message."""
        stats = tenant_stats(core, tenant)
        view = tenant_view(self._manager.roster.tenant(tenant.name), stats)
        verdict = assess(ManagerStats({}, {tenant.name: stats})).tenants[tenant.name]
        view.status, view.advice = verdict.status, verdict.why
        if tenant.queue:
            view.oldest_wait.CopyFrom(seconds(_waiting_for(tenant, monotonic())))
        return view

    def _views(self, found: Iterable[Found]) -> Iterator[pb.Tenant]:
        for core, tenant in found:
            with suppress(UnknownTenant):  # it is configured no more, and only about to go
                yield self.view(core, tenant)

    def _health(self, databases: Iterable[pb.DatabaseState]) -> tuple[str, str]:
        """The status of the whole, and a sentence on it."""
        if not self._desk.is_open:
            return Status.WARNING, "The service takes no new leases: it is closing."
        for status in (Status.CRITICAL, Status.WARNING):
            for database in databases:
                if database.status == status:
                    return status, f"{database.name}: {database.advice}."
        if any(database.waiting for database in databases):
            return Status.HEALTHY, "Busy: some requests wait for their tenant's limit."
        return Status.HEALTHY, "All is well."


async def _first(cores: Iterable[Database], wanted: Wanted) -> tuple[list[Found], int]:
    """The tenants that come first, and how many there are in all."""
    text, key, now = wanted.contains, ORDERS[wanted.order], monotonic()
    every: list[Found] = [
        (core, tenant)
        for core in cores
        for tenant in (core.busy() if wanted.order == LOAD else core.tenants.values())
    ]
    count = 0
    best: list[tuple[list[float], str, Found]] = []
    for some in _slices(every, _RANKED):
        found = [entry for entry in some if text in entry[1].name.casefold()]
        count += len(found)
        keyed = [([-value for value in key(e[1], now)], e[1].name, e) for e in found]
        best = nsmallest(wanted.most, best + keyed, key=_rank)
        await asyncio.sleep(0)
    return [entry for _, _, entry in best], count


def _rank(entry: tuple[list[float], str, Found]) -> tuple[list[float], str]:
    return entry[:2]


def _slices(found: Sequence[Found], size: int) -> Iterator[Sequence[Found]]:
    for start in range(0, len(found), size):
        yield found[start : start + size]


def _database(core: Database) -> pb.DatabaseState:
    stats = database_stats(core)
    view = database_view(stats)
    verdict: Verdict = assess(ManagerStats({core.name: stats}, {})).databases[core.name]
    view.status, view.advice = verdict.status, verdict.why
    refused: Counter[str] = Counter()
    for tally in core.tallies.values():
        view.leases += tally.leases
        refused.update({reason.value: count for reason, count in tally.refused.items()})
    view.refused.update(refused)
    return view


def _limits(limits: TenantLimits) -> pb.TenantLimits:
    view = pb.TenantLimits(
        min_size=limits.min_size,
        overflow=limits.overflow,
        max_waiting=limits.max_waiting,
        acquire_timeout=seconds(limits.acquire_timeout),
        rate=limits.rate or 0.0,
        max_idle=seconds(limits.max_idle),
        max_lifetime=seconds(limits.max_lifetime),
    )
    if limits.max_lease is not None:
        view.max_lease.CopyFrom(seconds(limits.max_lease))
    return view
