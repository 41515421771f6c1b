"""A pool as the core sees it: slots, and the tenants that share them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from math import inf
from typing import TYPE_CHECKING

from .breaker import Breaker
from .demand import Demand
from .ranking import Ranking
from .slot import Slot

if TYPE_CHECKING:
    from .tenant import Tenant

_LOOK_BACK = 8
"""Idle connections that are looked at for one that still carries the tenant's session."""


class Pool:
    """The connections of one (database, dbname, role).

    ``idle`` is ordered: the coldest first, the one returned last at the end.
    """

    __slots__ = (
        "breaker",
        "cap",
        "closing",
        "demand",
        "draining",
        "idle",
        "key",
        "last_used",
        "listed",
        "max_lifetime",
        "min_size",
        "name",
        "opening",
        "ranking",
        "resource",
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
        self.tenants: dict[Tenant, None] = {}
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
        self.max_lifetime = inf
        """How long a connection may live: the shortest ``max_lifetime`` of its tenants."""
        self.draining = True
        """Whether all its tenants are being drained."""
        self.demand = Demand()
        self.listed = 0
        """Idle connections it had when it was last ranked among the victims."""
        self.last_used = now
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
        self.tenants[tenant] = None
        self._add(tenant)

    def detach(self, tenants: Iterable[Tenant]) -> None:
        """*tenants* have been forgotten."""
        for tenant in tenants:
            del self.tenants[tenant]
        self.sum_up()

    def sum_up(self) -> None:
        """Gather anew what depends on all its tenants."""
        self.min_size, self.cap, self.max_lifetime, self.draining = 0, 0, inf, True
        for tenant in self.tenants:
            self._add(tenant)

    def _add(self, tenant: Tenant) -> None:
        limits = tenant.limits
        self.min_size = max(self.min_size, limits.min_size)
        self.cap += limits.cap
        self.max_lifetime = min(self.max_lifetime, limits.max_lifetime)
        self.draining = self.draining and tenant.draining

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
