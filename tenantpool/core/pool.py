"""A pool as the core sees it: slots, and the tenants that share them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from .breaker import Breaker
from .demand import Demand
from .limits import BreakerLimits
from .ranking import Ranking
from .renewal import Renewal
from .slot import Slot

if TYPE_CHECKING:
    from .tenant import Tenant

_LOOK_BACK = 8
"""Idle connections that are looked at for one that still carries the tenant's session."""


class Terms(NamedTuple):
    """What the tiers of its tenants ask of a pool: of several, the most demanding counts."""

    min_size: int
    max_lifetime: float
    breaker: BreakerLimits


class Share(NamedTuple):
    """What one tenant contributes to the limits of its pool."""

    terms: Terms
    cap: int
    ceiling: int
    stopped: bool


class Pool:
    """The connections of one (database, dbname, role).

    ``idle`` is ordered: the coldest first, the one returned last at the end.
    """

    __slots__ = (
        "_terms",
        "breaker",
        "cap",
        "ceiling",
        "closing",
        "demand",
        "draining",
        "idle",
        "key",
        "last_used",
        "listed",
        "lost_at",
        "max_lifetime",
        "min_size",
        "name",
        "opening",
        "ranking",
        "renewal",
        "resource",
        "serving",
        "slots",
        "tenants",
        "warming",
    )

    def __init__(self, key: Hashable, name: str, breaker: Breaker, now: float) -> None:
        self.key = key
        self.name = name
        self.breaker = breaker
        self.resource: object = None
        """What ``pools`` keeps with the pool; nothing in the core looks into it."""
        self.tenants: dict[Tenant, Share] = {}
        self.slots: dict[Slot, None] = {}
        self.opening = 0
        self.closing = 0
        self.idle: dict[Slot, None] = {}
        self.ranking: Ranking[Tenant] = Ranking()
        """Its tenants that have a waiter who may have one of its connections."""
        self.min_size = 0
        """Connections to keep: the largest ``min_size`` of its tenants."""
        self.cap = 0
        """Connections its tenants may use together, without their overflow."""
        self.ceiling = 0
        """Connections its tenants may use together, overflow included."""
        self.max_lifetime = inf
        """How long a connection may live: the shortest ``max_lifetime`` of its tenants."""
        self.serving = 0
        """Tenants that are neither drained nor suspended."""
        self.draining = True
        """Whether there are none of these: nothing is opened here, and what comes back closes."""
        self._terms: dict[Terms, int] = {}
        self.renewal: Renewal | None = None
        """Set while its connections are being replaced by such with other parameters."""
        self.demand = Demand()
        self.listed = 0
        """Idle connections it had when it was last ranked among the victims."""
        self.last_used = now
        self.lost_at = -inf
        """When the server was last seen to have closed an idle connection."""
        self.warming = False
        """On its way to ``min_size``."""

    def __repr__(self) -> str:
        return (
            f"<Pool {self.name}: {self.live} open, {len(self.idle)} idle, {self.opening} opening>"
        )

    @property
    def live(self) -> int:
        """Connections that are, or are about to be, there for use."""
        return len(self.slots) - self.closing

    @property
    def open(self) -> int:
        """Connections that exist and are not closing: what a waiter can hope for."""
        return len(self.slots) - self.closing - self.opening

    def attach(self, tenant: Tenant) -> None:
        """Let *tenant* share the pool."""
        self.tenants[tenant] = share = _share(tenant)
        self._add(share, 1)

    def detach(self, tenants: Iterable[Tenant]) -> None:
        """*tenants* have been forgotten, or have moved."""
        for tenant in tenants:
            self._add(self.tenants.pop(tenant), -1)

    def update(self, tenant: Tenant) -> None:
        """What *tenant* contributes may have changed, if it is one of its tenants."""
        before, after = self.tenants.get(tenant), _share(tenant)
        if before is not None and after != before:
            self.tenants[tenant] = after
            self._add(after, 1)
            self._add(before, -1)

    def _add(self, share: Share, times: int) -> None:
        """Tenants of a pool have few tiers, so it pays to count terms instead of asking all."""
        self.cap += times * share.cap
        self.ceiling += times * share.ceiling
        self.serving += times * (not share.stopped)
        self.draining = not self.serving
        before = self._terms.get(share.terms, 0)
        self._terms[share.terms] = before + times
        if not before + times:
            del self._terms[share.terms]
        if not before or not before + times:
            self._reckon()

    def _reckon(self) -> None:
        """Find out what its terms come to; without any, the breaker goes on as it is."""
        if self._terms:
            breakers = {terms.breaker for terms in self._terms}
            self.breaker.adopt(BreakerLimits.strictest(breakers))
        self.min_size = max((terms.min_size for terms in self._terms), default=0)
        longest = min((terms.max_lifetime for terms in self._terms), default=inf)
        if longest != self.max_lifetime:
            self.max_lifetime = longest
            for slot in self.slots:
                slot.age(longest)

    def pick(self, tenant: Tenant) -> Slot:
        """The idle connection for *tenant*, taken out of ``idle``; there must be one.

        In a shared pool: one that still carries its session, else the coldest, so that others
        keep theirs. Alone: the warmest, so that the surplus cools down and can be closed.
        """
        if len(self.tenants) == 1:
            return self.idle.popitem()[0]
        for slot, _ in zip(reversed(self.idle), range(_LOOK_BACK), strict=False):
            if slot.tenant is tenant:
                break
        else:
            slot = next(iter(self.idle))
        del self.idle[slot]
        return slot


def _share(tenant: Tenant) -> Share:
    limits = tenant.limits
    return Share(
        Terms(limits.min_size, limits.max_lifetime, limits.breaker),
        limits.enforced_cap,
        limits.enforced_ceiling,
        tenant.stopped,
    )
