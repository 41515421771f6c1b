"""The metrics of a manager, for a program that has no service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from heapq import nlargest
from time import monotonic

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager._sync.manager import Manager
from tenantpool.manager.stats import Shell, database_stats

from . import families
from .conventions import of_pools
from .reading import business, load_of


class ManagerCollector(Collector):
    """A collector of prometheus_client, to be registered where the program's own metrics are.

        REGISTRY.register(ManagerCollector(manager))

    Names and labels are those of the service, as far as they are about connections. Each scrape
    reads what has been counted, and takes some milliseconds; nothing is kept between two. It may
    run in any thread for a Manager, whose leases wait for it meanwhile; for an AsyncManager only
    in that of its event loop.
    """

    def __init__(self, manager: Manager | AsyncManager, tenants: int = 20) -> None:
        """*tenants*: how many are named in the metrics, the busiest ones."""
        self._manager = manager
        self._tenants = tenants

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._manager!r}, names {self._tenants} tenants>"

    def collect(self) -> Iterable[Family]:
        """All metrics. Blocks while others hold the manager's locks, for microseconds."""
        shells: list[Shell] = [*self._manager.shells.values()]
        with ExitStack() as stack:
            for shell in sorted(shells, key=id):  # as the manager does where it takes two locks
                stack.enter_context(shell.lock)
            return list(self._families())

    def _families(self) -> Iterator[Family]:
        cores = [shell.core for shell in self._manager.shells.values()]
        busy = [(core, tenant) for core in cores for tenant in core.busy()]
        waiting: Counter[tuple[str, str]] = Counter()
        for core, tenant in busy:
            waiting[core.name, tenant.limits.tier] += len(tenant.queue)
        tallies = families.tallies_of(cores, self._manager.settings.tiers)
        now = monotonic()
        loads = (load_of(core, tenant, now) for core, tenant in busy)
        yield families.build_info()
        databases = {core.name: database_stats(core) for core in cores}
        yield from families.of_databases(databases)
        yield from families.of_cores(cores)
        yield from families.of_tiers(tallies)
        yield families.waiting(tallies, waiting)
        yield from of_pools(databases, cores, tallies, waiting)
        yield from families.of_tenants(nlargest(self._tenants, loads, key=business))
