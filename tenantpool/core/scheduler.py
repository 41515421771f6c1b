"""Who gets the slot.

A slot changes pools only by closing one connection and opening another, which costs as much as
many leases. So there are two questions. A connection that comes back: does it stay with its pool,
or move to somebody who deserves it more (``_reuse``)? Somebody waits, and nothing comes back:
is there room, or an idle connection that is needed less (``_provide``)?
"""

from __future__ import annotations

from . import explain
from .actions import WakeAt, Warmed
from .books import Books
from .breaker import CLOSED, HALF_OPEN
from .limits import DatabaseLimits
from .pool import Pool
from .request import Request
from .slot import Slot
from .tenant import BELOW_GUARANTEE, OVERFLOW, Tenant


class Scheduler(Books):
    """Decides which tenant a slot goes to."""

    def __init__(self, name: str, limits: DatabaseLimits) -> None:
        super().__init__(name, limits)
        self._warming: dict[Pool, None] = {}

    @property
    def quantum(self) -> float:
        """Seconds for which a contended slot stays with its pool."""
        return min(self.limits.quantum_max, self.limits.quantum_factor * self.connect_time)

    # -- a connection is there to be lent ------------------------------------------------------

    def _reuse(self, now: float, slot: Slot) -> None:
        """A connection came back: it goes to a waiter of its pool, to another pool, or rests."""
        pool = slot.pool
        if not self.ranking and not pool.ranking:
            self._rest(now, slot)
            return
        local = pool.ranking.best()
        if local is not None and (rival := self._rival(now, slot, local)) is not None:
            self._close(slot, heir=rival)
        else:
            self._settle(now, slot)
        self._dispatch(now)

    def _settle(self, now: float, slot: Slot) -> None:
        """The connection stays with its pool: lent to the first that waits there, or idle."""
        tenant = slot.pool.ranking.best()
        if tenant is None:
            self._rest(now, slot)
        else:
            self._serve(now, slot, tenant)

    def _rival(self, now: float, slot: Slot, local: Tenant) -> Tenant | None:
        """The tenant of another pool that is to have this slot rather than *local*, if any.

        It must deserve it more, and wait for the end of the slot's quantum, unless it is of a
        better standing or its request is more urgent.
        """
        rival = self.ranking.best()
        if rival is None or rival.pool is slot.pool or rival.rank() >= local.rank():
            return None
        if now < slot.quantum_ends and not _is_urgent(rival, local):
            return None
        return rival if self._may_connect(now, rival.pool) else None

    def _take_idle(self, now: float, tenant: Tenant) -> Slot | None:
        """An idle connection of the tenant's pool that is not too old, taken out."""
        pool = tenant.pool
        while pool.idle:
            slot = pool.pick(tenant)
            if slot.expires_at > now:
                return slot
            self._close(slot)
        return None

    def _make_up(self, now: float, tenant: Tenant) -> None:
        """A lease of *tenant* ended, but not its connection came back: it may have another."""
        if tenant.queue and tenant.in_use < tenant.limits.cap:
            slot = self._take_idle(now, tenant)
            if slot is not None:
                self._serve(now, slot, tenant)
        self._dispatch(now)

    def _has_to_go(self, now: float, slot: Slot) -> bool:
        """Whether a connection that is there to be lent must be closed instead."""
        return slot.expires_at <= now or self.surplus > 0 or slot.pool.draining or self.closing

    # -- somebody waits ------------------------------------------------------------------------

    def _enqueue(self, now: float, request: Request) -> None:
        """No connection is at hand: wait for one, if there is hope and room in the queue."""
        tenant = request.tenant
        if len(tenant.queue) >= tenant.limits.max_waiting:
            self._refuse(now, request, explain.queue_full(self, tenant))
        elif self._is_hopeless(now, tenant.pool):
            self._refuse(now, request, explain.blocked(self, tenant, now))
        else:
            self._join_queue(request)
            self._dispatch(now)

    def _dispatch(self, now: float) -> None:
        """Bring slots on their way for those who wait, the most deserving first."""
        while (tenant := self.ranking.best()) is not None:
            if not self._provide(now, tenant):
                break
        if self._warming:
            self._warm_up(now)

    def _provide(self, now: float, tenant: Tenant) -> bool:
        """Do the next thing for *tenant*, which waits. False: nothing can be done just now."""
        pool = tenant.pool
        if pool.idle and (slot := self._take_idle(now, tenant)) is not None:
            self._serve(now, slot, tenant)
            return True
        if not self._may_connect(now, pool):
            if pool.breaker.allows(now):
                return False
            self.ranking.discard(tenant)  # until the breaker's time has come, see ``wake``
            return True
        if self.used < self.limits.capacity:
            self._open(now, tenant)
            return True
        return self._make_room(now, tenant)

    def _make_room(self, now: float, tenant: Tenant) -> bool:
        """Evict the idle connection that is needed least, in favour of *tenant*."""
        standing = tenant.standing()
        if standing == OVERFLOW:
            return False  # overflow lives on spare capacity only
        victim = self.victims.choose(now, urgent=standing == BELOW_GUARANTEE)
        if victim is not None:
            self._close(victim, heir=tenant)
            return True
        ripe_at = self.victims.ripe_at()
        if ripe_at is not None:
            self._actions.append(WakeAt(ripe_at))
        return False

    def _may_connect(self, now: float, pool: Pool) -> bool:
        return (
            self.connecting < self.limits.connect_concurrency
            and self.breaker.allows(now)
            and pool.breaker.allows(now)
        )

    def _is_hopeless(self, now: float, pool: Pool) -> bool:
        """Whether a waiter can only be disappointed: nothing is open, and nobody may connect."""
        return not pool.open and not (self.breaker.allows(now) and pool.breaker.allows(now))

    def _give_up(self, now: float, pool: Pool) -> None:
        """Refuse those who wait for *pool* in vain; a probe under way is not in vain."""
        probing = pool.opening and HALF_OPEN in (pool.breaker.state, self.breaker.state)
        if pool.ranking and not probing and self._is_hopeless(now, pool):
            for tenant in list(pool.ranking):
                for request in list(tenant.queue):
                    self._refuse(now, request, explain.blocked(self, tenant, now))

    # -- nobody waits --------------------------------------------------------------------------

    def _want_warm(self, pool: Pool) -> None:
        """Bring *pool* up to its ``min_size`` when there is time and room."""
        if not pool.warming and pool.live < pool.min_size:
            pool.warming = True
            self._warming[pool] = None

    def _warm_up(self, now: float) -> None:
        """Open connections ahead of demand, from spare capacity, while nobody waits."""
        while self._warming:
            pool = next(iter(self._warming))
            if not self._has_room_to_warm(pool):
                del self._warming[pool]
                self._report_warmed(pool)
            elif self._may_connect(now, pool):
                self._open(now, next(iter(pool.tenants)))
            else:
                break  # goes on when a connect under way has ended

    def _has_room_to_warm(self, pool: Pool) -> bool:
        return (
            pool.live < pool.min_size
            and self.used < self.limits.capacity
            and not self.ranking
            and not pool.draining
            and not self.closing
            and pool.breaker.state == self.breaker.state == CLOSED
        )

    def _report_warmed(self, pool: Pool) -> None:
        if pool.warming and not pool.opening and pool not in self._warming:
            pool.warming = False
            self._actions.append(Warmed(pool))


def _is_urgent(rival: Tenant, local: Tenant) -> bool:
    """Whether *rival* need not wait for the quantum that protects *local*."""
    if rival.standing() < local.standing():
        return True
    first, second = rival.queue.best(), local.queue.best()
    return first is not None and second is not None and first.priority > second.priority
