"""The metrics of a service as Prometheus reads them, gathered when it asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tenantpool.service.reload import APPLIED, REFUSED, UNCHANGED
from tenantpool.service.view import delivery_name

from . import families
from .conventions import of_pools
from .families import Rows, Tallies, counter, gauge, histogram
from .reading import Reading, read
from .source import Source

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LONG = 1000
"""A metric with more samples is written by another thread."""


class Exporter:
    """Writes the state of a service as text; nothing is kept between two scrapes."""

    def __init__(self, source: Source, tenants: int | None) -> None:
        """*tenants*: how many are named in the metrics; None: all that are busy."""
        self._source = source
        self._tenants = tenants
        self._process = ProcessCollector(registry=None)

    def __repr__(self) -> str:
        named = "all" if self._tenants is None else self._tenants
        return f"<{type(self).__name__} names {named} tenants>"

    async def expose(self) -> bytes:
        """All metrics. Lets others go on between one and the next."""
        reading = await read(self._source.manager, self._tenants)
        text = [generate_latest(self._process)]
        for family in self._families(reading):
            text.append(await _written(family))
            await asyncio.sleep(0)
        return b"".join(text)

    def _families(self, reading: Reading) -> Iterator[Family]:
        source, tallies = self._source, self._tallies()
        keys = [(database, tier) for database, tier, _ in tallies]
        cores = [shell.core for shell in source.manager.shells.values()]
        yield families.build_info()
        yield from families.of_databases(reading.databases)
        yield from families.of_cores(cores)
        yield from families.of_tiers(tallies)
        yield families.waiting(tallies, reading.waiting)
        yield from of_pools(reading.databases, cores, tallies, reading.waiting)
        yield gauge("tenantpool_leases_active", self._active(keys))
        yield gauge("tenantpool_sessions", [((), len(source.desk.sessions.workers))])
        every = sum(map(len, reading.loads.values()))
        most = every if self._tenants is None else self._tenants
        yield from families.of_tenants(reading.busiest(most))
        yield from self._reloads()
        yield gauge("tenantpool_alerts_firing", source.alerts.counts().items())
        yield from self._calls()

    def _tallies(self) -> Tallies:
        manager = self._source.manager
        cores = [shell.core for shell in manager.shells.values()]
        return families.tallies_of(cores, manager.settings.tiers)

    def _active(self, keys: Iterable[tuple[str, str]]) -> Rows:
        active = Counter(
            (loan.shell.name, loan.tenant.limits.tier, delivery_name(loan.delivery) or "none")
            for loan in self._source.desk.ledger.loans.values()
        )
        for key in keys:
            for delivery in ("gateway", "hand-off", "direct"):
                active.setdefault((*key, delivery), 0)
        return active.items()

    def _reloads(self) -> Iterator[Family]:
        reloader = self._source.reloader
        counts, latest = reloader.counts, reloader.latest
        worked = counts[APPLIED] + counts[UNCHANGED]
        results = [(["success"], worked), (["failure"], counts[REFUSED])]
        yield counter("tenantpool_config_reloads_total", results)
        last_worked = latest is None or latest.worked
        yield gauge("tenantpool_config_last_reload_success", [((), last_worked)])

    def _calls(self) -> Iterator[Family]:
        calls = self._source.meter.methods.items()
        yield counter(
            "grpc_server_started_total", [(method, counts.started) for method, counts in calls]
        )
        handled = [
            ((*method, code), count)
            for method, counts in calls
            for code, count in counts.handled.items()
        ]
        yield counter("grpc_server_handled_total", handled)
        seconds = [(method, each.seconds.counts, each.seconds.total) for method, each in calls]
        yield histogram("grpc_server_handling_seconds", seconds)


class _One(Collector):
    """A collector of one family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> Iterable[Family]:
        return [self._family]


async def _written(family: Family) -> bytes:
    if len(family.samples) > _LONG:
        return await asyncio.to_thread(generate_latest, _One(family))
    return generate_latest(_One(family))
