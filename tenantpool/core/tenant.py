"""A tenant as the core sees it: what it holds, what is on its way, and who waits."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .bucket import TokenBucket
from .counters import Counters
from .limits import TenantLimits
from .ranking import Ranking
from .request import Request
from .tally import Tally

if TYPE_CHECKING:
    from .pool import Pool

Rank = tuple[int, float, float, float]

BELOW_GUARANTEE = 0
BELOW_CAP = 1
OVERFLOW = 2


class Tenant:
    """A tenant that has been asked for. One that is only configured does not exist here."""

    __slots__ = (
        "bucket",
        "counters",
        "draining",
        "forgotten",
        "guarded",
        "in_use",
        "last_used",
        "limits",
        "mean_hold",
        "name",
        "pending",
        "pool",
        "queue",
        "service",
        "session",
        "tally",
    )

    def __init__(
        self,
        name: str,
        pool: Pool,
        limits: TenantLimits,
        session: object,
        now: float,
        tally: Tally | None = None,
    ) -> None:
        self.name = name
        self.pool = pool
        self.limits = limits
        self.session = session
        """What ``pools`` applies when a connection comes from another tenant."""
        self.in_use = 0
        self.pending = 0
        """Slots on their way to this tenant: opening for it, or closing in its favour."""
        self.service = 0.0
        """Slot time per weight that it has had while somebody waited, in seconds."""
        self.queue: Ranking[Request] = Ranking()
        self.counters = Counters()
        self.tally = tally or Tally()
        """The sums of its tier, which it adds to."""
        self.mean_hold = 0.0
        self.last_used = now
        self.draining = False
        self.forgotten = False
        self.bucket = TokenBucket(limits.rate, limits.burst, now) if limits.rate else None
        self.guarded = self.bucket is not None
        """Whether a request must pass a check of its own before it may have an idle connection."""

    def __repr__(self) -> str:
        state = " draining" if self.draining else ""
        return (
            f"<Tenant {self.name} ({self.limits.tier}){state}: {self.in_use} of {self.limits.cap}"
            f" in use, {self.pending} pending, {len(self.queue)} waiting>"
        )

    @property
    def claim(self) -> int:
        """Slots it holds or is about to hold: what its share is measured by."""
        return self.in_use + self.pending

    @property
    def is_idle(self) -> bool:
        """Holds nothing, waits for nothing."""
        return not (self.in_use or self.pending or self.queue)

    @property
    def wants(self) -> bool:
        """Has a waiter that may have a connection of its own pool."""
        return bool(self.queue) and self.in_use < self.limits.ceiling

    @property
    def needs(self) -> bool:
        """Has a waiter for whom no slot is on its way yet, and may have one."""
        return len(self.queue) > self.pending and self.claim < self.limits.ceiling

    def rank(self) -> Rank:
        """Who goes first, smallest first (rule 4).

        Below the guarantee, then below the cap, then overflow. Among equals, who claims fewer
        slots per unit of weight. Parts of a unit do not count: there, and wherever more tenants
        wait than there are slots, it is the least slot time per weight, then the longest wait.
        """
        claim = self.in_use + self.pending
        head = self.queue.best()
        since = head.since if head is not None else inf
        return self.standing(), claim // self.limits.weight, self.service, since

    def standing(self) -> int:
        """The class of its next slot: below the guarantee, below the cap, or overflow."""
        limits, claim = self.limits, self.in_use + self.pending
        if claim < limits.guarantee:
            return BELOW_GUARANTEE
        return BELOW_CAP if claim < limits.cap else OVERFLOW
