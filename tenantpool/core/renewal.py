"""A pool's connections are to be replaced, as they were made with parameters of before.

One by one: a new connection is opened first, and then one of before closes, an idle one at once
or else the next that comes back. So the pool never has fewer than it had, and nobody waits for a
connect that would not have been needed. Where the capacity has no room for one more, a connection
of before closes first, one at a time: an idle one, or else the next that comes back. If the new
parameters do not work, then those of before serve on, and connects are tried as the breakers let.
A connection that somebody waits for is not given up before a connect may begin in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .slot import Slot

if TYPE_CHECKING:
    from .pool import Pool


class Renewal:
    """How far the renewal of a pool has come."""

    __slots__ = ("old", "opening", "owed")

    def __init__(self, old: Iterable[Slot]) -> None:
        self.old = dict.fromkeys(old)
        """Slots that were made before, and are not being closed yet."""
        self.opening = 0
        """New connections that are being opened."""
        self.owed = 0
        """New connections for which none of before has been closed; -1: one was, ahead."""

    def end_if_done(self, pool: Pool) -> None:
        """The renewal of *pool* is over when all of before have gone, and none is missing."""
        if not self.old and self.owed >= 0:
            pool.renewal = None

    def __repr__(self) -> str:
        return f"<Renewal {len(self.old)} left, {self.opening} opening>"
