"""How long a lease lives that was lent to another process: its own time, or that of its session.

    granted ──▶ held ──▶ draining ──▶ over
        └─────────┴───────────────────▶ over

A lease is *held* once it is known that the answer arrived: it was used or renewed. Before, it has
only a short time, because the answer may have been lost. Its time over, or wanted back by an
operator, it is *draining*: its holder is told, and has until ``ends_at`` to give it back. Then it
is cut. Like the rest of the core this has no clock: time is an argument, in seconds.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Final, NamedTuple

GRANTED: Final = "granted"
HELD: Final = "held"
DRAINING: Final = "draining"
OVER: Final = "over"


class Attendance:
    """A worker's time: its leases live as long as its heartbeats come.

    *of* is the shell's object that it belongs to; nothing in the core looks into it.
    """

    __slots__ = ("ends_at", "of", "tenures", "ttl")

    def __init__(self, now: float, ttl: float, of: object) -> None:
        self.of = of
        self.ttl = ttl
        self.ends_at = now + ttl
        self.tenures: dict[Tenure, None] = {}

    def __repr__(self) -> str:
        state = "over" if self.is_over else f"{len(self.tenures)} leases"
        return f"<{type(self).__name__} {state}>"

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.ends_at == -inf


class Tenure:
    """A lease's time. ``attendance`` is None where it has a time of its own.

    *of* is the shell's object that it belongs to; nothing in the core looks into it.
    """

    __slots__ = ("attendance", "ends_at", "latest", "of", "state", "ttl")

    def __init__(
        self, attendance: Attendance | None, ttl: float, of: object, latest: float = inf
    ) -> None:
        self.of = of
        self.latest = latest
        """No renewal goes beyond it."""
        self.attendance = attendance
        self.ttl = ttl
        self.state: str = GRANTED
        self.ends_at = inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}>"


class Notify(NamedTuple):
    """Tell the holder that this lease is wanted back within *drain_within* seconds."""

    tenure: Tenure
    drain_within: float
    reason: str


class Cut(NamedTuple):
    """End this lease now, whatever its holder does."""

    tenure: Tenure
    reason: str


class Lapse(NamedTuple):
    """This worker's session is over; its leases are cut before."""

    attendance: Attendance


Action = Notify | Cut | Lapse


class TenureLimits(NamedTuple):
    """In seconds."""

    ttl_max: float
    """Longest time that a lease can ask for."""
    grace: float
    """Between the end of a lease's time and its cut."""
    confirm_within: float
    """Until a lease must be used or renewed for the first time."""


class Tenures:
    """The times of all leases and sessions, and what is due.

    Ends move away with every heartbeat, so an entry of the heap is only looked at again when the
    end that it knew has come: a renewal costs nothing.
    """

    def __init__(self, limits: TenureLimits) -> None:
        self.limits = limits
        self._due: list[tuple[float, int, Attendance | Tenure]] = []
        self._entered = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._due)} due>"

    @property
    def next_at(self) -> float:
        """When ``wake`` should be called; inf: not at all."""
        while self._due and self._due[0][2].ends_at == -inf:
            heappop(self._due)  # it has ended meanwhile, as most do
        return self._due[0][0] if self._due else inf

    # -- sessions ------------------------------------------------------------------------------

    def begin(self, attendance: Attendance) -> None:
        """A session has begun."""
        self._enter(attendance)

    def beat(self, now: float, attendance: Attendance) -> bool:
        """A heartbeat came: renew the session. Return whether it was not over yet."""
        if attendance.is_over:
            return False
        attendance.ends_at = max(attendance.ends_at, now + attendance.ttl)
        return True

    def leave(
        self, attendance: Attendance, reason: str = "its session said goodbye"
    ) -> list[Action]:
        """The session ends now, for this *reason*: everything it still has is cut."""
        return self._lapse(attendance, reason)

    # -- leases --------------------------------------------------------------------------------

    def grant(self, now: float, tenure: Tenure) -> None:
        """A lease was granted. One of a session counts as held: its answer can't get lost alone."""
        if tenure.attendance is not None:
            tenure.state = HELD
            tenure.attendance.tenures[tenure] = None
        else:
            tenure.ttl = min(tenure.ttl, self.limits.ttl_max)
            tenure.ends_at = min(tenure.latest, now + min(tenure.ttl, self.limits.confirm_within))
            self._enter(tenure)

    def use(self, now: float, tenure: Tenure) -> None:
        """The holder was seen using it, so it has the answer."""
        if tenure.state == GRANTED:
            tenure.state = HELD
            tenure.ends_at = min(tenure.latest, now + tenure.ttl)

    def renew(self, now: float, tenure: Tenure, ttl: float | None) -> float:
        """Give it more time, from *now*; return how much that is.

        One that drains gets no more, and none gets more than its ``latest``.
        """
        if tenure.state == DRAINING or tenure.attendance is not None:
            end = min(tenure.ends_at, tenure.attendance.ends_at if tenure.attendance else inf)
            return max(0.0, end - now)
        tenure.state = HELD
        tenure.ttl = min(ttl or tenure.ttl, self.limits.ttl_max)
        tenure.ends_at = min(tenure.latest, now + tenure.ttl)
        self._enter(tenure)  # a shorter time may end before the heap would look at it
        return min(tenure.ttl, max(0.0, tenure.latest - now))

    def move(self, tenure: Tenure, attendance: Attendance) -> None:
        """Its holder has begun another session, and found the lease by the id of its request."""
        if tenure.attendance is not None:
            tenure.attendance.tenures.pop(tenure, None)
        tenure.attendance = attendance
        attendance.tenures[tenure] = None
        if tenure.state != DRAINING:
            tenure.state, tenure.ends_at = HELD, inf

    def want_back(
        self, now: float, tenure: Tenure, drain_within: float, reason: str
    ) -> list[Action]:
        """Somebody needs it: tell the holder, and cut it when *drain_within* seconds are over.

        That never gives it more time than it had.
        """
        if tenure.state == OVER:
            return []
        if drain_within <= 0.0:
            return [self._cut(tenure, reason)]
        latest = tenure.ends_at + (self.limits.grace if tenure.state == HELD else 0.0)
        drain_within = min(drain_within, latest - now)
        if tenure.state == DRAINING and now + drain_within >= tenure.ends_at:
            return []
        self._drain(now, tenure, drain_within)
        return [Notify(tenure, drain_within, reason)]

    def end(self, tenure: Tenure) -> None:
        """It was given back."""
        tenure.state, tenure.ends_at = OVER, -inf
        if tenure.attendance is not None:
            tenure.attendance.tenures.pop(tenure, None)

    # -- time ----------------------------------------------------------------------------------

    def wake(self, now: float) -> list[Action]:
        """The time of ``next_at`` has come."""
        actions: list[Action] = []
        while self._due and self._due[0][0] <= now:
            _, _, item = heappop(self._due)
            if item.ends_at > now:
                if item.ends_at < inf:
                    self._enter(item)
            elif isinstance(item, Tenure):
                actions += self._run_out(now, item)
            else:
                actions += self._lapse(item, "its worker was not heard of any more")
        return actions

    # -- steps ---------------------------------------------------------------------------------

    def _enter(self, item: Attendance | Tenure) -> None:
        self._entered += 1
        heappush(self._due, (item.ends_at, self._entered, item))

    def _run_out(self, now: float, tenure: Tenure) -> list[Action]:
        match tenure.state:
            case "over":
                return []
            case "held" if self.limits.grace > 0.0:
                self._drain(now, tenure, self.limits.grace)
                return [Notify(tenure, self.limits.grace, "its time is over")]
            case "granted":
                return [self._cut(tenure, "it was neither used nor renewed")]
            case _:
                return [self._cut(tenure, "it was not given back in time")]

    def _drain(self, now: float, tenure: Tenure, drain_within: float) -> None:
        tenure.state = DRAINING
        tenure.ends_at = now + drain_within
        self._enter(tenure)

    def _cut(self, tenure: Tenure, reason: str) -> Cut:
        self.end(tenure)
        return Cut(tenure, reason)

    def _lapse(self, attendance: Attendance, reason: str) -> list[Action]:
        if attendance.is_over:
            return []
        attendance.ends_at = -inf
        cuts = [self._cut(tenure, reason) for tenure in list(attendance.tenures)]
        return [*cuts, Lapse(attendance)]
