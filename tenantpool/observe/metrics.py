"""The metrics as Prometheus reads them, gathered when it asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from tenantpool import __version__
from tenantpool.core.breaker import CLOSED, HALF_OPEN, OPEN
from tenantpool.core.counters import MAX_LEASE
from tenantpool.core.database import Database
from tenantpool.core.tally import BOUNDS, Histogram, Tally
from tenantpool.errors import Reason
from tenantpool.manager.stats import DatabaseStats
from tenantpool.service.reload import APPLIED, REFUSED, UNCHANGED
from tenantpool.service.view import delivery_name

from .catalogue import METRICS
from .quantiles import waits_of
from .reading import Reading, read
from .source import Source

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Rows: TypeAlias = Iterable[tuple[Sequence[str], float]]

BREAKER = {CLOSED: 0, HALF_OPEN: 1, OPEN: 2}
_REASONS = (
    *(Reason.TENANT_LIMIT, Reason.DATABASE_LIMIT, Reason.QUEUE_FULL, Reason.RATE_LIMIT),
    *(Reason.BREAKER_OPEN, Reason.CONNECT_FAILED, Reason.CONNECT_TIMEOUT, Reason.DRAINING),
)
"""Their counters are there before the first refusal, so that a rate sees it."""
_ON_TRIAL = (Reason.TENANT_LIMIT, Reason.QUEUE_FULL, Reason.RATE_LIMIT, MAX_LEASE)
_LONG = 1000
"""A metric with more samples is written by another thread."""
_BUCKETS = [*map(floatToGoString, BOUNDS), "+Inf"]


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
        source = self._source
        yield _gauge("tenantpool_build_info", [([__version__], 1)])
        yield from _databases(reading.databases)
        yield from _cores([shell.core for shell in source.manager.shells.values()])
        yield from _tiers(self._tallies())
        keys = [(database, tier) for database, tier, _ in self._tallies()]
        yield _gauge("tenantpool_waiting", [(key, reading.waiting.get(key, 0)) for key in keys])
        yield _gauge("tenantpool_leases_active", self._active(keys))
        yield _gauge("tenantpool_sessions", [((), len(source.desk.sessions.workers))])
        yield from _busiest(reading, self._tenants)
        yield from self._reloads()
        yield _gauge("tenantpool_alerts_firing", self._source.alerts.counts().items())
        yield from self._calls()

    def _tallies(self) -> list[tuple[str, str, Tally]]:
        """Of every tier on every database, also of those that nobody has asked for yet."""
        manager, none = self._source.manager, Tally()
        return [
            (name, tier, shell.core.tallies.get(tier, none))
            for name, shell in manager.shells.items()
            for tier in {**manager.settings.tiers, **shell.core.tallies}
        ]

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
        yield _counter("tenantpool_config_reloads_total", results)
        last_worked = latest is None or latest.worked
        yield _gauge("tenantpool_config_last_reload_success", [((), last_worked)])

    def _calls(self) -> Iterator[Family]:
        meter = self._source.meter
        handled = [((*method, code), count) for (method, code), count in meter.handled.items()]
        yield _counter("grpc_server_handled_total", handled)
        seconds = [(method, each.counts, each) for method, each in meter.seconds.items()]
        yield _histogram("grpc_server_handling_seconds", seconds)


def _databases(databases: Mapping[str, DatabaseStats]) -> Iterator[Family]:
    states = ("opening", "idle", "in_use", "resetting", "closing")
    every = databases.items()
    capacity = [([name], stats.capacity) for name, stats in every]
    yield _gauge("tenantpool_capacity", capacity)
    counts = [([name, state], getattr(stats, state)) for name, stats in every for state in states]
    yield _gauge("tenantpool_connections", counts)
    breakers = [([name], BREAKER[stats.breaker]) for name, stats in every]
    yield _gauge("tenantpool_breaker_state", breakers)


def _cores(cores: Sequence[Database]) -> Iterator[Family]:
    connects = [([core.name], core.connects.counts, core.connects) for core in cores]
    yield _histogram("tenantpool_connect_seconds", connects)
    failures = [([core.name], core.connect_failures) for core in cores]
    yield _counter("tenantpool_connect_failures_total", failures)
    evictions = [([core.name], core.evictions) for core in cores]
    yield _counter("tenantpool_evictions_total", evictions)
    overshoots = [([core.name], core.overshoots) for core in cores]
    yield _counter("tenantpool_overshoot_total", overshoots)
    shut = [([core.name], len(shut_pools(core))) for core in cores]
    yield _gauge("tenantpool_tenant_breakers_open", shut)


def shut_pools(core: Database) -> list[str]:
    """The pools whose breaker is not closed."""
    return [pool.name for pool in core.pools.values() if pool.breaker.state != CLOSED]


def _tiers(tallies: Sequence[tuple[str, str, Tally]]) -> Iterator[Family]:
    waits = [((name, tier), waits_of(tally), tally.waits) for name, tier, tally in tallies]
    yield _histogram("tenantpool_wait_seconds", waits)
    holds = [((name, tier), tally.holds.counts, tally.holds) for name, tier, tally in tallies]
    yield _histogram("tenantpool_hold_seconds", holds)
    for name, field in (
        ("tenantpool_leases_total", "leases"),
        ("tenantpool_leaks_total", "leaks"),
        ("tenantpool_revoked_total", "revoked"),
    ):
        yield _counter(name, [((db, tier), getattr(tally, field)) for db, tier, tally in tallies])
    for name, field, reasons in (
        ("tenantpool_refusals_total", "refused", _REASONS),
        ("tenantpool_would_refuse_total", "would_refuse", _ON_TRIAL),
    ):
        rows = [
            ((db, tier, reason), count)
            for db, tier, tally in tallies
            for reason, count in (dict.fromkeys(reasons, 0) | getattr(tally, field)).items()
        ]
        yield _counter(name, rows)


def _busiest(reading: Reading, most: int | None) -> Iterator[Family]:
    count = sum(map(len, reading.loads.values())) if most is None else most
    loads = [((load.name, load.tier, load.database), load) for load in reading.busiest(count)]
    yield _gauge("tenantpool_tenant_in_use", [(key, load.in_use) for key, load in loads])
    yield _gauge("tenantpool_tenant_waiting", [(key, load.waiting) for key, load in loads])


# -- families ----------------------------------------------------------------------------------


def _gauge(name: str, rows: Rows) -> Family:
    metric = METRICS[name]
    family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _counter(name: str, rows: Rows) -> Family:
    metric = METRICS[name]
    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def _histogram(name: str, rows: Iterable[tuple[Sequence[str], Sequence[int], Histogram]]) -> Family:
    metric = METRICS[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    for labels, counts, histogram in rows:
        buckets = list(zip(_BUCKETS, accumulate(counts), strict=True))
        family.add_metric(labels, buckets, histogram.total)
    return family


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
