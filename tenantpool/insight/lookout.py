"""Looks at the leases in use from time to time: what lasts for too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from tenantpool.insight.advice import IDLE, LONG_LEASE
from tenantpool.insight.finding import Finding, Kind
from tenantpool.insight.options import Options


class Held(Protocol):
    """A lease in use."""

    @property
    def holder(self) -> str:
        """Who took it."""
        ...

    @property
    def held(self) -> float:
        """For how many seconds."""
        ...


class Sight(NamedTuple):
    """A *lease* in use at one moment.

    *is_idle_in_transaction*: at this moment; *last*: when its last statement ended, 0.0 if that is
    not known.
    """

    lease: Held
    tenant: str
    is_idle_in_transaction: bool
    last: float


class _Seen:
    """What the look before has seen of a lease."""

    __slots__ = ("idle_since", "is_idle_told", "is_long_told", "last")

    def __init__(self) -> None:
        self.is_long_told = False
        self.is_idle_told = False
        self.idle_since: float | None = None
        self.last = 0.0


class Lookout:
    """Remembers what it has told, so that each lease is found once; says it by *note*.

    Nothing tells when a transaction began, so it is idle from the first look that has found it so:
    it is found up to one interval of looks late, and never wrongly.
    """

    def __init__(self, options: Options, note: Callable[[Finding], None]) -> None:
        self._options = options
        self._note = note
        self._seen: dict[Held, _Seen] = {}

    def __repr__(self) -> str:
        return f"<Lookout over {len(self._seen)} leases>"

    def look(self, now: float, sights: Iterable[Sight]) -> None:
        """Look at all leases in use; *now* as monotonic() has it. Does not block."""
        before, self._seen = self._seen, {}
        for sight in sights:
            seen = self._seen[sight.lease] = before.get(sight.lease) or _Seen()
            self._look_for_long(sight, seen)
            self._look_for_idle(now, sight, seen)

    def _look_for_long(self, sight: Sight, seen: _Seen) -> None:
        held = sight.lease.held
        if seen.is_long_told or held < self._options.long_lease:
            return
        seen.is_long_told = True
        self._tell("long lease", sight, f"held for {held:.3g} s so far", LONG_LEASE, held)

    def _look_for_idle(self, now: float, sight: Sight, seen: _Seen) -> None:
        if not sight.is_idle_in_transaction or seen.idle_since is None or sight.last != seen.last:
            seen.idle_since = now if sight.is_idle_in_transaction else None
            seen.last = sight.last
            seen.is_idle_told = False
            return
        idle = now - seen.idle_since
        if not seen.is_idle_told and idle >= self._options.idle_in_transaction:
            seen.is_idle_told = True
            what = f"nothing was run in its transaction for {idle:.3g} s"
            self._tell("idle in transaction", sight, what, IDLE, idle)

    def _tell(self, kind: Kind, sight: Sight, what: str, fix: str, seconds: float) -> None:
        place = sight.lease.holder
        self._note(Finding(kind, sight.tenant, what, fix, place=place, seconds=seconds))
