"""Who gets the slot.

A slot changes pools only by closing one connection and opening another, which costs as much as
many leases. So there are two questions. A connection that comes back: does it stay with its pool,
or move to somebody who deserves it more (``_reuse``)? Somebody waits, and nothing comes back:
is there room, or an idle connection that is needed less (``_provide``)?
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec

from tenantpool.errors import Reason, Refused

from . import explain
from .actions import Notice, WakeAt, Warmed
from .books import Books
from .breaker import CLOSED, HALF_OPEN, Breaker
from .limits import MAX_WAITING, DatabaseLimits
from .pool import Pool
from .request import Request
from .slot import Slot
from .tenant import BELOW_GUARANTEE, OVERFLOW, STANDING, Tenant

P = ParamSpec("P")


class Scheduler(Books):
    """Decides which tenant a slot goes to."""

    def __init__(self, name: str, limits: DatabaseLimits) -> None:
        super().__init__(name, limits)
        self._warming: dict[Pool, None] = {}
        self._renewing: dict[Pool, None] = {}
        """Pools with a renewal that may go a step further."""

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
        if rival is None or rival.pool is slot.pool:
            return None
        theirs, ours = self.ranking.key(rival), slot.pool.ranking.key(local)
        if theirs >= ours:
            return None
        is_better = theirs[STANDING] < ours[STANDING]
        if now < slot.quantum_ends and not is_better and not _is_urgent(rival, local):
            return None
        return rival if self._may_connect(now, rival.pool) else None

    def _take_idle(self, now: float, tenant: Tenant) -> Slot | None:
        """An idle connection of the tenant's pool that is not too old, taken out."""
        pool = tenant.pool
        while pool.idle:
            slot = pool.pick(tenant)
            self.idle -= 1
            if slot.expires_at > now:
                return slot
            self._close(slot)
        return None

    def _make_up(self, now: float, tenant: Tenant) -> None:
        """*tenant* may have more, or one that no connection of its pool came back for."""
        while tenant.queue and tenant.in_use < tenant.cap:
            slot = self._take_idle(now, tenant)
            if slot is None:
                break
            self._serve(now, slot, tenant)
        self._dispatch(now)
        if not tenant.pool.slots:
            self._give_up(now, tenant.pool)

    def _has_to_go(self, now: float, slot: Slot) -> bool:
        """Whether a connection that is there to be lent must be closed instead."""
        pool = slot.pool
        return (
            slot.expires_at <= now
            or len(self.slots) - self.leaving > self.limits.capacity
            or pool.draining
            or self.closing
            or (pool.renewal is not None and self._makes_way(now, slot))
        )

    # -- somebody waits ------------------------------------------------------------------------

    def _enqueue(self, now: float, request: Request) -> None:
        """No connection is at hand: wait for one, if there is hope and room in the queue."""
        tenant = request.tenant
        if self._is_full(tenant):
            self._refuse(now, request, explain.queue_full(self, tenant))
        elif self._is_hopeless(now, tenant.pool):
            self._refuse(now, request, explain.blocked(self, tenant, now))
        else:
            self._join_queue(request)
            if self.ranking.best() is tenant:  # for who goes before it nothing could be done
                self._dispatch(now)

    def _is_full(self, tenant: Tenant) -> bool:
        """Whether as many wait as may, by a limit that is not only on trial."""
        limits = tenant.limits
        if len(tenant.queue) < limits.max_waiting:
            return False
        if MAX_WAITING in limits.trial:
            tenant.would_refuse(Reason.QUEUE_FULL)
            return False
        return True

    def _dispatch(self, now: float) -> None:
        """Bring slots on their way for those who wait, the most deserving first."""
        while self._has_spare and (tenant := self.ranking.best()) is not None:
            if not self._provide(now, tenant):
                break
        if self._renewing:
            self._renew(now)
        if self._warming:
            self._warm_up(now)

    @property
    def _has_spare(self) -> bool:
        """Whether there is anything to give: without, the one who waits need not be looked for."""
        return self.idle > 0 or len(self.slots) < self.limits.capacity

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
        standing = self.ranking.key(tenant)[STANDING]
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
                self._refuse_all(now, tenant, explain.blocked, now)

    def _refuse_all(
        self,
        now: float,
        tenant: Tenant,
        why: Callable[Concatenate[Books, Tenant, P], Refused],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        for request in list(tenant.queue):
            self._refuse(now, request, why(self, tenant, *args, **kwargs))

    # -- breakers ------------------------------------------------------------------------------

    def _rank_all(self, pool: Pool) -> None:
        """The breaker of *pool* may have changed its mind."""
        for tenant in list(pool.ranking):
            self._rank(tenant)

    def _failed_everywhere(self, now: float, error: BaseException) -> None:
        """The database could not be reached: if that opens its breaker, all pools give up."""
        if self._failed(now, self.breaker, self.name, error):
            for pool in self.pools.values():
                self._give_up(now, pool)

    def _failed(self, now: float, breaker: Breaker, of: str, error: BaseException) -> bool:
        """Count a failed connect. Return whether it opened the breaker."""
        if not breaker.failure(now, error):
            return False
        fields = {"of": of, "error": error, "retry_after": breaker.retry_at - now}
        self._actions += [Notice("breaker opened", fields), WakeAt(breaker.retry_at)]
        return True

    def _recovered(self, breaker: Breaker, of: str) -> bool:
        """Count a connect that worked. Return whether it closed the breaker."""
        was_open = breaker.state != CLOSED
        breaker.success()
        if was_open:
            self._actions.append(Notice("breaker closed", {"of": of}))
        return was_open

    # -- connections are renewed, see ``renewal.py`` -------------------------------------------

    def _renew(self, now: float) -> None:
        """Open the next new connection of each pool that is renewed, from spare capacity."""
        while self._renewing and not self.ranking:
            pool = next(iter(self._renewing))
            if self._wants_new(pool) and pool.breaker.allows(now):
                if not self._may_connect(now, pool):
                    return  # goes on when a connect under way has ended
                if self.used < self.limits.capacity:
                    self._open(now, next(iter(pool.tenants)))
                else:
                    self._retire_idle(pool, ahead=True)
            del self._renewing[pool]

    def _wants_new(self, pool: Pool, *, ahead: bool = False) -> bool:
        """Whether a new connection is to be opened, or one of before closed *ahead* of it."""
        renewal = pool.renewal
        return (
            renewal is not None
            and renewal.owed in ((0,) if ahead else (0, -1))
            and not renewal.opening
            and not pool.draining
            and not self.closing
        )

    def _retire_idle(self, pool: Pool, *, ahead: bool = False) -> None:
        """Close idle connections of before, for new ones that are there, or one *ahead* of it."""
        renewal = pool.renewal
        if renewal is None:
            return
        for slot in [slot for slot in pool.idle if slot in renewal.old]:
            if renewal.owed <= -ahead:
                break
            renewal.owed -= 1
            self._close(slot)

    def _makes_way(self, now: float, slot: Slot) -> bool:
        """Whether *slot*, which came back, makes way for a new connection, or has done so."""
        pool, renewal = slot.pool, slot.pool.renewal
        if renewal is None or slot not in renewal.old:
            return False
        if renewal.owed > 0:
            goes = not pool.ranking or self._may_connect(now, pool)
        else:
            is_full = self.used >= self.limits.capacity
            goes = is_full and self._wants_new(pool, ahead=True) and self._may_connect(now, pool)
        renewal.owed -= goes
        self._renewing[pool] = None
        return goes

    def _renewed(self, pool: Pool, slot: Slot) -> None:
        """*slot* has been opened: if its pool is being renewed, one of before may close."""
        renewal = pool.renewal
        if renewal is not None and slot not in renewal.old:
            renewal.owed += 1
            renewal.end_if_done(pool)
            self._retire_idle(pool)
            self._renewing[pool] = None

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
    """Whether the request of *rival* goes before that of *local* by its priority."""
    first, second = rival.queue.best(), local.queue.best()
    return first is not None and second is not None and first.priority > second.priority
