"""What is counted for each tenant, and how waits are summed up."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from math import exp

from tenantpool.errors import Reason

MAX_LEASE = "MAX_LEASE"
"""What a lease that is held for too long counts as in ``Counters.would_refuse``."""

_SMALLEST = 1e-5
_STEPS_PER_E = 6
_BUCKETS = 104
_ENDS = [_SMALLEST * exp((step + 1) / _STEPS_PER_E) for step in range(_BUCKETS - 1)]
"""Of 104 buckets, each e^(1/6) = 18 % wider than the last: from 10 µs to 5 minutes. The last one
has no end."""


class Waits:
    """A histogram of the waits of those who had to wait, in buckets 18 % wide."""

    __slots__ = ("_buckets", "longest", "total")

    def __init__(self) -> None:
        self.total = 0.0
        self.longest = 0.0
        self._buckets: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"<Waits {self.count}, {self.total:.6f} s, longest {self.longest:.6f} s>"

    @property
    def count(self) -> int:
        """How many had to wait."""
        return sum(self._buckets.values())

    def note(self, seconds: float) -> None:
        """Count a wait of *seconds*."""
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds
        step = bisect_right(_ENDS, seconds)
        self._buckets[step] = self._buckets.get(step, 0) + 1

    def quantile(self, q: float, leases: int) -> float:
        """The wait in seconds that the fraction *q* of *leases* did not exceed (within 18 %).

        Leases beyond those that are counted here did not wait.
        """
        rank = q * leases - (leases - self.count)
        if rank <= 0:
            return 0.0
        for step in sorted(self._buckets):
            rank -= self._buckets[step]
            if rank <= 0:
                return self.longest if step == len(_ENDS) else min(self.longest, _ENDS[step])
        return self.longest


class Counters:
    """A tenant's counters since it was first seen. Times are in seconds."""

    __slots__ = (
        "connect_failures",
        "held",
        "leaks",
        "leases",
        "lost",
        "refused",
        "requests",
        "revoked",
        "waits",
        "would_refuse",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.leases = 0
        self.held = 0.0
        """Slot-seconds of all leases that have ended."""
        self.lost = 0
        """Connections that were found broken."""
        self.leaks = 0
        self.revoked = 0
        self.connect_failures = 0
        self.refused: Counter[Reason] = Counter()
        self.would_refuse: Counter[str] = Counter()
        """What limits on trial would have done, by the reason they would have given: refusals,
        requests lent above the cap, leases held for too long."""
        self.waits = Waits()

    def __repr__(self) -> str:
        return (
            f"<Counters {self.requests} requests, {self.leases} leases,"
            f" {self.refused.total()} refused>"
        )
