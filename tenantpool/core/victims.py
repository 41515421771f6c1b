"""Which idle connection to evict when another pool deserves its slot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import log

from .pool import Pool
from .ranking import Ranking
from .slot import CLOSING, IDLE, OPENING, Slot


class Victims:
    """Pools with idle connections, the least needed first: request rate per idle connection.

    A rank only has to be a lower bound while nobody asks. A pool that lends gets needed more, so
    its old rank stays one; only a pool that has more idle connections than when it was ranked must
    be ranked anew at once. So the hot path pays one comparison, and ``choose`` the rest.
    """

    __slots__ = ("_min_age", "_ranking", "_young")

    def __init__(self, min_age: float) -> None:
        self._min_age = min_age
        self._ranking: Ranking[Pool] = Ranking()
        self._young: deque[Slot] = deque()

    def __repr__(self) -> str:
        return f"<Victims: {len(self._ranking)} pools, {len(self._young)} young connections>"

    def opened(self, now: float, slot: Slot) -> None:
        """A connection begins its ``min_connection_age``."""
        self._ripen(now)
        self._young.append(slot)

    def set_min_age(self, now: float, min_age: float, pools: Iterable[Pool]) -> None:
        """Spare connections of another age: all there are of *pools* are looked at anew."""
        if min_age == self._min_age:
            return
        self._min_age = min_age
        there = [s for pool in pools for s in pool.slots if s.state not in (OPENING, CLOSING)]
        self._young = deque(sorted(there, key=lambda slot: slot.opened_at))
        self._ripen(now)

    def list(self, pool: Pool) -> None:
        """Rank *pool*, which has idle connections, by its need for them."""
        pool.listed = len(pool.idle)
        self._ranking.put(pool, (pool.demand.score - log(pool.listed),))

    def forget(self, pool: Pool) -> None:
        """*pool* has no idle connection to give."""
        pool.listed = 0
        self._ranking.discard(pool)

    def choose(self, now: float, *, urgent: bool = False) -> Slot | None:
        """The idle connection that is needed least, left where it is; None if there is none.

        Those younger than the minimum age are spared, unless it is *urgent*.
        """
        if self._young:
            self._ripen(now)
        while (pool := self._ranking.best()) is not None:
            coldest = next((slot for slot in pool.idle if self._is_ripe(slot, now)), None)
            if coldest is None:
                self.forget(pool)
                continue
            ranked = self._ranking.key(pool)
            self.list(pool)
            if self._ranking.key(pool) <= ranked:
                return coldest
        if urgent:
            return next((slot for slot in self._young if slot.state == IDLE), None)
        return None

    def ripe_at(self) -> float | None:
        """When the next young connection reaches the minimum age."""
        return self._young[0].opened_at + self._min_age if self._young else None

    def _is_ripe(self, slot: Slot, now: float) -> bool:
        return slot.opened_at + self._min_age <= now

    def _ripen(self, now: float) -> None:
        while self._young and self._is_ripe(self._young[0], now):
            slot = self._young.popleft()
            if slot.state == IDLE:
                self.list(slot.pool)
