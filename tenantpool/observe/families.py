"""The metrics of cores, as families of Prometheus: of a service, and of a manager by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.utils import floatToGoString

from tenantpool import __version__
from tenantpool.core.breaker import CLOSED, HALF_OPEN, OPEN
from tenantpool.core.counters import MAX_LEASE
from tenantpool.core.database import Database
from tenantpool.core.tally import BOUNDS, Tally
from tenantpool.errors import Reason
from tenantpool.manager.stats import DatabaseStats

from .catalogue import METRICS
from .quantiles import waits_of
from .reading import Load

Rows: TypeAlias = Iterable[tuple[Sequence[str], float]]

BREAKER = {CLOSED: 0, HALF_OPEN: 1, OPEN: 2}
_REASONS = (
    *(Reason.TENANT_LIMIT, Reason.DATABASE_LIMIT, Reason.QUEUE_FULL, Reason.RATE_LIMIT),
    *(Reason.BREAKER_OPEN, Reason.CONNECT_FAILED, Reason.CONNECT_TIMEOUT, Reason.DRAINING),
)
"""Their counters are there before the first refusal, so that a rate sees it."""
_ON_TRIAL = (Reason.TENANT_LIMIT, Reason.QUEUE_FULL, Reason.RATE_LIMIT, MAX_LEASE)
_BUCKETS = [*map(floatToGoString, BOUNDS), "+Inf"]

Tallies: TypeAlias = Sequence[tuple[str, str, Tally]]
"""Sums, with their database and tier."""


def build_info() -> Family:
    """What runs."""
    return gauge("tenantpool_build_info", [([__version__], 1)])


def tallies_of(cores: Iterable[Database], tiers: Iterable[str]) -> Tallies:
    """Of every tier on every database, also of those that nobody has asked for yet."""
    none, named = Tally(), dict.fromkeys(tiers)
    return [
        (core.name, tier, core.tallies.get(tier, none))
        for core in cores
        for tier in {**named, **core.tallies}
    ]


def of_databases(databases: Mapping[str, DatabaseStats]) -> Iterator[Family]:
    """Connections and breakers."""
    states = ("opening", "idle", "in_use", "resetting", "closing")
    every = databases.items()
    capacity = [([name], stats.capacity) for name, stats in every]
    yield gauge("tenantpool_capacity", capacity)
    counts = [([name, state], getattr(stats, state)) for name, stats in every for state in states]
    yield gauge("tenantpool_connections", counts)
    breakers = [([name], BREAKER[stats.breaker]) for name, stats in every]
    yield gauge("tenantpool_breaker_state", breakers)


def of_cores(cores: Sequence[Database]) -> Iterator[Family]:
    """Connects, evictions, and what must never be."""
    connects = [([core.name], core.connects.counts, core.connects.total) for core in cores]
    yield histogram("tenantpool_connect_seconds", connects)
    failures = [([core.name], core.connect_failures) for core in cores]
    yield counter("tenantpool_connect_failures_total", failures)
    evictions = [([core.name], core.evictions) for core in cores]
    yield counter("tenantpool_evictions_total", evictions)
    overshoots = [([core.name], core.overshoots) for core in cores]
    yield counter("tenantpool_overshoot_total", overshoots)
    shut = [([core.name], len(shut_pools(core))) for core in cores]
    yield gauge("tenantpool_tenant_breakers_open", shut)


def shut_pools(core: Database) -> list[str]:
    """The pools whose breaker is not closed."""
    return [pool.name for pool in core.pools.values() if pool.breaker.state != CLOSED]


def of_tiers(tallies: Tallies) -> Iterator[Family]:
    """Leases, waits and refusals."""
    waits = [((name, tier), waits_of(tally), tally.waits.total) for name, tier, tally in tallies]
    yield histogram("tenantpool_wait_seconds", waits)
    holds = [((name, tier), tally.holds.counts, tally.holds.total) for name, tier, tally in tallies]
    yield histogram("tenantpool_hold_seconds", holds)
    for name, field in (
        ("tenantpool_leases_total", "leases"),
        ("tenantpool_leaks_total", "leaks"),
        ("tenantpool_revoked_total", "revoked"),
    ):
        yield counter(name, [((db, tier), getattr(tally, field)) for db, tier, tally in tallies])
    for name, field, reasons in (
        ("tenantpool_refusals_total", "refused", _REASONS),
        ("tenantpool_would_refuse_total", "would_refuse", _ON_TRIAL),
    ):
        rows = [
            ((db, tier, reason), count)
            for db, tier, tally in tallies
            for reason, count in (dict.fromkeys(reasons, 0) | getattr(tally, field)).items()
        ]
        yield counter(name, rows)


def waiting(tallies: Tallies, counts: Mapping[tuple[str, str], int]) -> Family:
    """Who waits, by database and tier; *counts* has those where somebody does."""
    keys = [(database, tier) for database, tier, _ in tallies]
    return gauge("tenantpool_waiting", [(key, counts.get(key, 0)) for key in keys])


def of_tenants(loads: Iterable[Load]) -> Iterator[Family]:
    """What single tenants do."""
    rows = [((load.name, load.tier, load.database), load) for load in loads]
    yield gauge("tenantpool_tenant_in_use", [(key, load.in_use) for key, load in rows])
    yield gauge("tenantpool_tenant_waiting", [(key, load.waiting) for key, load in rows])


# -- families ----------------------------------------------------------------------------------


def gauge(name: str, rows: Rows) -> Family:
    """The metric of that *name*, as the catalogue has it, with these samples."""
    metric = METRICS[name]
    family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def counter(name: str, rows: Rows) -> Family:
    """As ``gauge``, for what only grows."""
    metric = METRICS[name]
    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric(labels, value)
    return family


def histogram(name: str, rows: Iterable[tuple[Sequence[str], Sequence[int], float]]) -> Family:
    """As ``gauge``, for durations: each row has labels, counts by bucket, and the sum of all."""
    metric = METRICS[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    for labels, counts, total in rows:
        buckets = list(zip(_BUCKETS, accumulate(counts), strict=True))
        family.add_metric(labels, buckets, total)
    return family
