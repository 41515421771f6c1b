"""How many connections are enough: four rules of thumb, each with where it comes from.

They answer different questions, so their results differ; a measurement under load beats them all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SAFETY = 1.2
"""The margin that :func:`by_rate` adds for peaks within the peak."""


@dataclass(frozen=True, slots=True)
class PoolSize:
    """A pool as SQLAlchemy words it: how many in all, how many to keep, how many above that."""

    connections: int
    """What the load needs, in connections."""
    min_size: int
    """Connections to keep open."""
    overflow: int
    """Connections that may be added for a burst."""


def by_disks(cores: int, spindles: int) -> int:
    """Connections that keep a database server busy: ``cores × 2 + spindles``.

    *cores* are real ones of the database server, without hyper-threads; *spindles* its disks that
    seek (0 if the data fits into memory, 1 for a single disk). ValueError unless cores ≥ 1 and
    spindles ≥ 0.

    Source: the PostgreSQL wiki ("Number of Database Connections"), made known by HikariCP's
    "About Pool Sizing". It bounds *active* connections of a whole server, all clients together.
    """
    _at_least(1, cores=cores)
    _at_least(0, spindles=spindles)
    return cores * 2 + spindles


def by_wait(cores: int, wait: float, service: float) -> int:
    """Threads that keep the cores of a client busy: ``cores × (1 + wait / service)``, rounded up.

    *wait* is the time a request waits (for the database), *service* the time it computes, both in
    the same unit. ValueError unless cores ≥ 1, wait ≥ 0 and service > 0.

    Source: Brian Goetz, "Java Concurrency in Practice", section 8.2, for a utilisation of 1. Each
    thread holds one connection at most, so it bounds the pool of that client.
    """
    _at_least(1, cores=cores)
    _at_least(0, wait=wait)
    _above_zero(service=service)
    return _up(cores * (1 + wait / service))


def by_rate(requests: float, query_time: float, limit: int) -> PoolSize:
    """The connections a load needs: ``requests × query_time × 1.2``, at most *limit*, rounded up.

    *requests* is the peak per second, *query_time* the mean in seconds, *limit* the connections
    that the database gives. ``min_size`` is a third of the result but at least 5, ``overflow`` a
    half but at least 10: for a small load these floors are larger than the need itself.
    ValueError unless requests and query_time are above 0 and limit ≥ 1.

    Source: the usual calculator of tutorials on pooling. One of them states 17/50/25 for 100
    requests per second of 50 ms under a limit of 200; the formula it gives yields 6.
    """
    _above_zero(requests=requests, query_time=query_time)
    _at_least(1, limit=limit)
    connections = min(limit, _up(requests * query_time * SAFETY))
    return PoolSize(connections, max(5, connections // 3), max(10, connections // 2))


def by_littles_law(arrivals: float, held: float) -> float:
    """The mean number of connections in use: ``L = λ × W``.

    *arrivals* (λ) is leases per second, *held* (W) the seconds each is held, from borrowing to
    giving back: not the query time alone. ValueError unless both are above 0.

    Source: John Little, 1961. It is exact for the mean of any stable system and says nothing of
    peaks, so the pool must be larger than this.
    """
    _above_zero(arrivals=arrivals, held=held)
    return arrivals * held


def _up(value: float) -> int:
    """Rounded up, but not for the noise of binary fractions (6.000000000000001 is 6)."""
    return math.ceil(round(value, 9))


def _at_least(least: int, **values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value >= least):
            raise ValueError(f"{name} must be at least {least}, not {value:g}")


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be above 0, not {value:g}")
