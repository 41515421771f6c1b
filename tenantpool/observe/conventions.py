"""The state of the databases in the words of OpenTelemetry's conventions for connection pools.

https://opentelemetry.io/docs/specs/semconv/database/database-metrics/: what has a name there has it
here, too, spelled as Prometheus does, so that dashboards made for any pool show tenantpool's. What
they call a pool is a database with its capacity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from prometheus_client.metrics_core import Metric as Family

from tenantpool.core.database import Database
from tenantpool.core.tally import Histogram, Tally
from tenantpool.errors import Reason
from tenantpool.manager.stats import DatabaseStats

from .families import Tallies, counter, gauge, histogram
from .quantiles import added, waits_of

_TIMEOUTS = (Reason.TENANT_LIMIT, Reason.DATABASE_LIMIT, Reason.CONNECT_TIMEOUT)
_PREFIX = "db_client_connection"


def of_pools(
    databases: Mapping[str, DatabaseStats],
    cores: Iterable[Database],
    tallies: Tallies,
    waiting: Mapping[tuple[str, str], int],
) -> Iterator[Family]:
    """All of them. *tallies* and *waiting* are by database and tier, those of one together."""
    every = databases.items()
    used = [((name, "used"), stats.in_use) for name, stats in every]
    idle = [((name, "idle"), stats.idle) for name, stats in every]
    yield gauge(f"{_PREFIX}_count", [*used, *idle])
    yield gauge(f"{_PREFIX}_max", [((name,), stats.capacity) for name, stats in every])
    pending = Counter(dict.fromkeys(databases, 0))
    for (name, _), count in waiting.items():
        pending[name] += count
    yield gauge(f"{_PREFIX}_pending_requests", [((name,), n) for name, n in pending.items()])
    connects = [((core.name,), core.connects.counts, core.connects.total) for core in cores]
    yield histogram(f"{_PREFIX}_create_time_seconds", connects)
    yield from _of_requests(tallies)


def _of_requests(tallies: Tallies) -> Iterator[Family]:
    by_database = {
        name: [tally for _, _, tally in group]
        for name, group in groupby(tallies, key=lambda row: row[0])
    }
    timeouts = [((name,), sum(map(_timeouts, of))) for name, of in by_database.items()]
    yield counter(f"{_PREFIX}_timeouts_total", timeouts)
    waits = [
        ((name,), added(map(waits_of, of)), _sum(tally.waits for tally in of))
        for name, of in by_database.items()
    ]
    yield histogram(f"{_PREFIX}_wait_time_seconds", waits)
    holds = [
        ((name,), added(tally.holds.counts for tally in of), _sum(tally.holds for tally in of))
        for name, of in by_database.items()
    ]
    yield histogram(f"{_PREFIX}_use_time_seconds", holds)


def _timeouts(tally: Tally) -> int:
    return sum(tally.refused[reason] for reason in _TIMEOUTS)


def _sum(histograms: Iterable[Histogram]) -> float:
    return sum(each.total for each in histograms)
