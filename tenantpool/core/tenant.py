"""A tenant as the core sees it: what it holds, what is on its way, and who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bucket import TokenBucket
from .counters import Counters
from .limits import TenantLimits
from .ranking import Ranking
from .request import Request
from .tally import Tally
from .usage import Usage

if TYPE_CHECKING:
    from .pool import Pool
    from .shrink import Shrink

Rank = tuple[int, float, float, float]
STANDING = 0
"""Where a rank has the class of the tenant's next slot: one of the following."""

BELOW_GUARANTEE = 0
BELOW_CAP = 1
OVERFLOW = 2


class Tenant:
    """A tenant that has been asked for. One that is only configured does not exist here."""

    __slots__ = (
        "abroad",
        "bucket",
        "cap",
        "ceiling",
        "counters",
        "departed",
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
        "shrink",
        "stopped",
        "suspended",
        "tally",
        "usage",
        "watched",
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
        self.usage = Usage()
        self.tally = tally or Tally()
        """The sums of its tier, which it adds to."""
        self.mean_hold = 0.0
        self.last_used = now
        self.abroad = 0
        """Leases that it holds elsewhere, from before it moved here: they count towards its cap."""
        self.draining = False
        self.suspended = ""
        """Why it is suspended; empty: it is not."""
        self.forgotten = False
        self.departed = False
        """It has moved to another database; only leases of before are left of it here."""
        self.shrink: Shrink | None = None
        """What is done as it has more in use than it may."""
        self.bucket: TokenBucket | None = None
        self.take_limits(now, limits, closing=False)

    def __repr__(self) -> str:
        states = ("draining", self.draining), ("suspended", self.suspended), ("left", self.departed)
        state = "".join(f" {word}" for word, is_so in states if is_so)
        return (
            f"<Tenant {self.name} ({self.limits.tier}){state}: {self.in_use} of {self.limits.cap}"
            f" in use, {self.pending} pending, {len(self.queue)} waiting>"
        )

    def take_limits(self, now: float, limits: TenantLimits, *, closing: bool) -> None:
        """Get other limits. Its token bucket stays as full as it is, in proportion."""
        self.limits = limits
        if not limits.rate:
            self.bucket = None
        elif self.bucket is None:
            self.bucket = TokenBucket(limits.rate, limits.burst, now)
        else:
            self.bucket.adopt(now, limits.rate, limits.burst)
        self.reckon(closing=closing)

    def reckon(self, *, closing: bool) -> None:
        """Gather anew what follows from its limits and from what has been decreed."""
        limits, away = self.limits, max(0, self.abroad)
        self.cap = 0 if self.suspended else max(0, limits.enforced_cap - away)
        """Connections it may use here, without the overflow."""
        self.ceiling = 0 if self.suspended else max(0, limits.enforced_ceiling - away)
        """Connections it may use here, overflow included."""
        self.stopped = self.draining or bool(self.suspended)
        """Its requests are refused, and what comes back from it is closed."""
        self.guarded = closing or self.stopped or self.bucket is not None
        """Whether a request must pass a check of its own before it may have an idle connection."""
        self.watched = self.departed or self.shrink is not None or bool(limits.trial)
        """Whether its leases are looked at one by one as they begin and end."""

    def would_refuse(self, reason: str) -> None:
        """Count what a limit on trial would have done."""
        self.counters.would_refuse[reason] += 1
        self.tally.would_refuse[reason] += 1

    def take_over(self, former: Tenant) -> None:
        """Go on with the counts of *former*, which it was on another database.

        They are shared from then on, as leases of before still end there.
        """
        self.counters, self.usage = former.counters, former.usage
        self.mean_hold, self.last_used = former.mean_hold, former.last_used

    @property
    def over(self) -> int:
        """Leases above its ceiling: what is left of a limit that was lowered."""
        return max(0, self.in_use - self.ceiling)

    @property
    def claim(self) -> int:
        """Slots it holds or is about to hold: what its share is measured by."""
        return self.in_use + self.pending

    @property
    def is_idle(self) -> bool:
        """Holds nothing, here or elsewhere, and waits for nothing."""
        return not (self.in_use or self.pending or self.queue or self.abroad)

    @property
    def needs(self) -> bool:
        """Has a waiter for whom no slot is on its way yet, and may have one."""
        return len(self.queue) > self.pending and self.claim < self.ceiling

    def rank(self) -> Rank | None:
        """Who goes first, smallest first (rule 4). None: nobody waits who may have a connection.

        Below the guarantee, then below the cap, then overflow. Among equals, who claims fewer
        slots per unit of weight. Parts of a unit do not count: there, and wherever more tenants
        wait than there are slots, it is the least slot time per weight, then the longest wait.
        """
        head = self.queue.best()
        if head is None or self.in_use >= self.ceiling:
            return None
        claim, limits = self.in_use + self.pending, self.limits
        if claim < limits.guarantee:
            standing = BELOW_GUARANTEE
        else:
            standing = BELOW_CAP if claim < self.cap else OVERFLOW
        return standing, claim // limits.weight, self.service, head.since
