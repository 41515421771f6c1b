"""The four signals over the last minutes: throughput, waits, refusals, saturation."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import monotonic, time

from tenantpool.core.database import Database
from tenantpool.manager._async.manager import AsyncManager

from .quantiles import added, quantile, waits_of

KEPT = 300
"""Points that are kept: five minutes."""
_WINDOW = 10
"""Seconds that a quantile looks back."""

_SHORTEST = 1e-3

ALL = ""
"""The key of what all databases have together."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """What only grows, and when (in steady seconds) it was that much."""

    at: float
    leases: int
    waits: Sequence[int]
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Point:
    """A second of a database, or of all."""

    at: float
    """Seconds since the epoch."""
    leases: float
    """Granted per second."""
    p50: float | None
    """Seconds that half the leases of the last ten seconds did not wait longer than."""
    p99: float | None
    refused: Mapping[str, float]
    """Per second of the last ten, by reason."""
    used: float
    """Connections ÷ capacity, of the fullest database."""
    lent: float
    """Connections in use ÷ capacity, of the same one."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class Pulse:
    """Takes a point each second: some 50 µs, so that there is a past when somebody looks."""

    def __init__(self, manager: AsyncManager) -> None:
        self._manager = manager
        self._sums: dict[str, deque[_Sums]] = {}
        self._points: dict[str, deque[Point]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.points(ALL))} points>"

    def points(self, key: str) -> Sequence[Point]:
        """The points of a database or of ``ALL``, the oldest first."""
        return self._points.get(key, ())

    def latest(self, key: str) -> Point | None:
        """The last one."""
        points = self._points.get(key)
        return points[-1] if points else None

    def take(self) -> None:
        """Take a point of everything. Does not block."""
        now = monotonic()
        cores = [shell.core for shell in self._manager.shells.values()]
        every = {core.name: _sums(core, now) for core in cores}
        for core in cores:
            self._note(core.name, every[core.name], [core])
        if cores:
            self._note(ALL, _together(every.values(), now), cores)

    def _note(self, key: str, sums: _Sums, cores: Iterable[Database]) -> None:
        past = self._sums.setdefault(key, deque(maxlen=_WINDOW))
        if past:
            point = _point(past[0], past[-1], sums, _saturation(cores))
            self._points.setdefault(key, deque(maxlen=KEPT)).append(point)
        past.append(sums)


def _point(first: _Sums, before: _Sums, sums: _Sums, saturation: tuple[float, float]) -> Point:
    waits = [new - old for new, old in zip(sums.waits, first.waits, strict=True)]
    window = max(sums.at - first.at, _SHORTEST)
    return Point(
        time(),
        (sums.leases - before.leases) / max(sums.at - before.at, _SHORTEST),
        quantile(0.5, waits),
        quantile(0.99, waits),
        {
            reason: (count - first.refused.get(reason, 0)) / window
            for reason, count in sums.refused.items()
        },
        *saturation,
    )


def _sums(core: Database, now: float) -> _Sums:
    tallies = core.tallies.values()
    refused: Counter[str] = Counter()
    for tally in tallies:
        refused.update({reason.value: count for reason, count in tally.refused.items()})
    leases = sum(tally.leases for tally in tallies)
    return _Sums(now, leases, added(map(waits_of, tallies)), refused)


def _together(every: Iterable[_Sums], now: float) -> _Sums:
    found = list(every)
    refused: Counter[str] = Counter()
    for sums in found:
        refused.update(sums.refused)
    waits = added(sums.waits for sums in found)
    return _Sums(now, sum(sums.leases for sums in found), waits, refused)


def _saturation(cores: Iterable[Database]) -> tuple[float, float]:
    """How full the fullest database is, and how much of that is lent."""
    return max(
        (
            core.used / core.limits.capacity,
            sum(slot.request is not None for slot in core.slots) / core.limits.capacity,
        )
        if core.limits.capacity
        else (0.0, 0.0)
        for core in cores
    )
