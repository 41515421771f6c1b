"""What the last hour looked like for one tenant, and what other limits would have made of it."""

from __future__ import annotations

from collections import Counter, deque
from math import inf
from typing import NamedTuple

from .limits import TenantLimits

_MINUTE = 60.0
_MINUTES = 5
_PERIODS = 12
"""An hour in twelve parts of five minutes: the oldest goes as the thirteenth begins."""
_EXACT = 64
_DIGITS = 6


class Foreseen(NamedTuple):
    """How many of the last hour's *requests* other limits would have met."""

    requests: int
    over_cap: int
    """They would have had to wait for another lease of the tenant's to end."""
    over_queue: int
    """They would have been refused, as too many waited."""
    over_rate: int
    """They would have been refused, as too many came."""


class _Period:
    """Five minutes. Counts of requests by how many the tenant had in use or waiting then."""

    __slots__ = ("load", "minutes", "number", "waiting")

    def __init__(self, number: int) -> None:
        self.number = number
        self.load: dict[int, int] = {}
        """By leases in use and waiters together."""
        self.waiting: dict[int, int] = {}
        """By waiters, where there were any."""
        self.minutes = [0] * _MINUTES

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number}: {sum(self.minutes)} requests>"


_BEFORE = _Period(-1)
"""Where the first request finds itself before its own period begins: nothing is counted here."""


class Usage:
    """Requests of the last hour, by what the tenant had in use and waiting as each came.

    Nothing is kept of a single request: 12 parts of an hour have a count for each number up to
    64, and above that for each step of 1/32; parts without a request are not there at all.
    """

    __slots__ = ("_minute", "_minute_ends", "_period", "_periods")

    def __init__(self) -> None:
        self._periods: deque[_Period] = deque(maxlen=_PERIODS)
        self._period = _BEFORE
        self._minute = 0
        self._minute_ends = -inf

    def __repr__(self) -> str:
        return f"<Usage {sum(sum(period.minutes) for period in self._periods)} requests>"

    def note(self, now: float, in_use: int, waiting: int) -> None:
        """A request came at *now* (seconds, never running backwards) and found that many."""
        if now >= self._minute_ends:
            self._begin_minute(now)
        period = self._period
        period.minutes[self._minute] += 1
        if waiting:
            seen = waiting if waiting < _EXACT else _rounded(waiting)
            period.waiting[seen] = period.waiting.get(seen, 0) + 1
            in_use += waiting
        if in_use >= _EXACT:
            in_use = _rounded(in_use)
        try:
            period.load[in_use] += 1
        except KeyError:
            period.load[in_use] = 1

    def foresee(self, now: float, limits: TenantLimits) -> Foreseen:
        """How many requests of the hour before *now* would have met *limits*, trial or not.

        All assume that the same requests would have come, and been held for as long.

        *over_cap*: found as many in use or waiting as the cap and its overflow allow. (Who had to
        wait is taken for one who would have been lent a connection, had there been room.)

        *over_queue*: found ``max_waiting`` waiting; or, as those above the ceiling would have
        waited, so many more than the ceiling in use or waiting. Whichever are more: where the
        ceiling is not lowered the first includes the second, and mostly the other way round where
        it is, so it is a lower bound.

        *over_rate*: a token bucket gone through minute by minute, as if the requests of each came
        evenly spread. Those of real life come in bursts: a lower bound again.
        """
        periods = [p for p in self._periods if p.number > _period_of(now) - _PERIODS]
        ceiling = limits.ceiling
        full = ceiling + limits.max_waiting
        return Foreseen(
            requests=sum(sum(period.minutes) for period in periods),
            over_cap=sum(_from(period.load, ceiling) for period in periods),
            over_queue=max(
                sum(_from(period.waiting, limits.max_waiting) for period in periods),
                sum(_from(period.load, full) for period in periods),
            ),
            over_rate=_over_rate(periods, limits),
        )

    def peak(self, now: float, part: float) -> int:
        """How many *part* of the requests of the last 5 to 10 minutes made it, at most.

        That is, what was in use or waiting as each came, itself included; 0: there were none.
        """
        load: Counter[int] = Counter()
        for period in self._periods:
            if period.number >= _period_of(now) - 1:
                load.update(period.load)
        rank = part * load.total()
        for found in sorted(load):
            rank -= load[found]
            if rank <= 0:
                return found + 1
        return 0

    def per_minute(self, now: float) -> list[int]:
        """Requests in each minute of the hour before *now*, the oldest first."""
        counts = [0] * (_PERIODS * _MINUTES)
        first = _period_of(now) - _PERIODS + 1
        for period in self._periods:
            if period.number >= first:
                at = (period.number - first) * _MINUTES
                counts[at : at + _MINUTES] = period.minutes
        return counts

    def _begin_minute(self, now: float) -> None:
        minute = int(now // _MINUTE)
        number, self._minute = divmod(minute, _MINUTES)
        self._minute_ends = (minute + 1) * _MINUTE
        if number != self._period.number:
            self._period = _Period(number)
            self._periods.append(self._period)


def _period_of(now: float) -> int:
    return int(now // (_MINUTE * _MINUTES))


def _rounded(count: int) -> int:
    """*count* by its first binary digits: never more than it is, and at most 3 % less."""
    shift = count.bit_length() - _DIGITS
    return count >> shift << shift


def _from(counts: dict[int, int], least: int) -> int:
    """How many of them had *least* or more."""
    least = least if least < _EXACT else _rounded(least)
    return sum(times for count, times in counts.items() if count >= least)


def _over_rate(periods: list[_Period], limits: TenantLimits) -> int:
    """Refusals of a token bucket, full at first, whose minutes are each evenly filled."""
    if limits.rate is None:
        return 0
    gain = limits.rate * _MINUTE
    tokens, refused, last = float(limits.burst), 0.0, None
    for period in periods:
        if last is not None and period.number > last + 1:
            tokens = min(limits.burst, tokens + gain * _MINUTES * (period.number - last - 1))
        last = period.number
        for requests in period.minutes:
            lent = min(float(requests), tokens + gain)
            refused += requests - lent
            tokens = min(float(limits.burst), tokens + gain - lent)
    return int(refused)
