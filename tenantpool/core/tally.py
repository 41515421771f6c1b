"""Sums that only grow, and never forget: what a tier has had on a database since the start.

A tenant's own counters end when it is forgotten; these do not, and they are few, so that whoever
draws curves of them need not look at every tenant.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from tenantpool.errors import Reason

BOUNDS = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
"""Upper ends of the buckets in seconds, inclusive; one more takes what is longer."""


class Histogram:
    """Durations in seconds, counted in buckets that never change."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """How many ended in each bucket."""
        self.total = 0.0

    def __repr__(self) -> str:
        return f"<Histogram {sum(self.counts)}, {self.total:.6f} s>"

    def note(self, seconds: float) -> None:
        """Count one that took *seconds*."""
        self.total += seconds
        self.counts[bisect_left(BOUNDS, seconds)] += 1


class Tally:
    """The sums of one tier on one database."""

    __slots__ = ("holds", "leaks", "leases", "refused", "revoked", "waits", "would_refuse")

    def __init__(self) -> None:
        self.leases = 0
        """Leases granted. One whose connection was found broken before its first use is granted
        again, and counts twice here."""
        self.leaks = 0
        self.revoked = 0
        self.refused: Counter[Reason] = Counter()
        self.would_refuse: Counter[str] = Counter()
        """What limits on trial would have done, by the reason that a refusal would have had."""
        self.waits = Histogram()
        """Of those who had to wait."""
        self.holds = Histogram()

    def __repr__(self) -> str:
        return f"<Tally {self.leases} leases, {self.refused.total()} refused>"
