"""One database, one hard limit: the events of its life.

Every method that takes ``now`` is an event (seconds, any steady clock, never running backwards).
It changes the state and returns what the shell has to do. Nothing here blocks, reads a clock or
calls anybody; the shell holds one lock around each call, and performs the actions without it.
"""

from __future__ import annotations

from tenantpool.errors import Reason, Refused

from . import explain, upkeep
from .actions import Actions, Notice, Reset, WakeAt
from .books import SMOOTHING
from .breaker import OPEN
from .limits import RATE, DatabaseLimits
from .moves import Moves
from .pool import Pool
from .request import CANCELLED, GRANTED, NEW, RETURNED, WAITING, Request
from .shrink import account
from .slot import IDLE, RESETTING, Slot
from .tenant import Tenant

_GOLDEN_RATIO = 0.6180339887498949
_LIFETIME_SPREAD = 0.05
_LONGEST_OUTLIER = 10.0


class Database(Moves):
    """The slots of one PostgreSQL server, and everybody who wants one."""

    def __init__(self, name: str, limits: DatabaseLimits) -> None:
        super().__init__(name, limits)
        self._tripped: dict[Pool, None] = {}
        self.opens = 0
        """Connections opened so far."""

    # -- requests ------------------------------------------------------------------------------

    def request(self, now: float, request: Request) -> Actions:
        """Ask for a connection: afterwards the request is granted, waiting or refused."""
        tenant = request.tenant
        if tenant.forgotten:
            if tenant.departed:
                return self._send_on(request)
            tenant = request.tenant = self._remember(now, tenant)
        pool = tenant.pool
        request.since = tenant.last_used = pool.last_used = now
        pool.demand.note(now)
        tenant.counters.requests += 1
        tenant.usage.note(now, tenant.in_use, len(tenant.queue))
        if tenant.guarded and (error := self._guard(now, tenant)) is not None:
            self._refuse(now, request, error)
        elif (
            pool.idle
            and tenant.in_use < tenant.cap
            and (slot := self._take_idle(now, tenant)) is not None
        ):
            self._lend(now, slot, request)
        else:
            self._enqueue(now, request)
        return self._flush()

    def cancel(self, now: float, request: Request) -> Actions:
        """Nobody waits for this request any more, whatever has become of it meanwhile."""
        if request.state == GRANTED:
            return self.release(now, request)
        if request.state == WAITING:
            self._leave_queue(request, CANCELLED)
            self._dispatch(now)
        elif request.state == NEW:
            request.state = CANCELLED  # on its way to another database
        return self._flush()

    def expire(self, now: float, request: Request) -> Actions:
        """The caller's time is over: refuse, unless it has been granted in the meantime."""
        if request.state == WAITING:
            self._refuse(now, request, explain.timed_out(self, request.tenant))
            self._dispatch(now)
        elif request.state == NEW:  # on its way to another database
            self._refuse(now, request, explain.timed_out(self, request.tenant))
        return self._flush()

    def release(self, now: float, request: Request, *, healthy: bool = True) -> Actions:
        """The holder gives its connection back; not *healthy* means it must not be used again."""
        if request.state != GRANTED:
            return ()
        slot = self._end_lease(now, request, RETURNED)
        tenant = request.tenant
        if not healthy:
            tenant.counters.lost += 1
            self._close(slot)
        elif tenant.stopped or self._has_to_go(now, slot):
            self._close(slot)
        elif tenant.limits.reset_always or request.wipe:
            slot.become(RESETTING)
            self._actions.append(Reset(slot))
        else:
            self._reuse(now, slot)
            if slot.pool is tenant.pool:
                return self._flush()
        self._make_up(now, tenant)
        return self._flush()

    def replace(self, now: float, request: Request) -> Actions:
        """The connection was found broken before its first use: wait in its place for another."""
        if request.state != GRANTED:
            return ()
        tenant = request.tenant
        tenant.counters.lost += 1
        tenant.counters.leases -= 1
        self._close(self._end_lease(now, request, NEW))
        if tenant.departed:
            return self._send_on(request)
        if tenant.stopped or self.closing:
            self._refuse(now, request, explain.stopped(self, tenant))
        else:
            self._enqueue(now, request)
        self._make_up(now, tenant)
        return self._flush()

    def revoke(self, now: float, request: Request) -> Actions:
        """Take the connection away from its holder; the slot is free once the backend is gone."""
        if request.state == GRANTED:
            self._revoke(now, request)
        return self._flush()

    # -- connections ---------------------------------------------------------------------------

    def opened(self, now: float, slot: Slot, seconds: float) -> Actions:
        """A connect succeeded after *seconds*."""
        pool = slot.pool
        self._connected(slot)
        self.connects.note(seconds)
        sample = min(seconds, _LONGEST_OUTLIER * self.connect_time)
        self.connect_time += SMOOTHING * (sample - self.connect_time)
        self._recovered(self.breaker, self.name)
        if self._recovered(pool.breaker, pool.name):
            self._rank_all(pool)
        slot.opened_at = slot.free_since = now
        slot.spread = self._spread()
        slot.age(pool.max_lifetime)
        slot.quantum_ends = now + self.quantum
        if self._has_to_go(now, slot):
            self._close(slot)
        else:
            self.victims.opened(now, slot)
            self._settle(now, slot)
            self._want_warm(pool)
        self._renewed(pool, slot)
        self._dispatch(now)
        self._report_warmed(pool)
        return self._flush()

    def open_failed(
        self, now: float, slot: Slot, error: BaseException, *, everywhere: bool, final: bool
    ) -> Actions:
        """A connect failed; what it left on the server is ended, and only then is the slot free.

        *everywhere*: the whole database could not be reached, so its own breaker counts it.
        *final*: trying again will not help (no such database, wrong password).
        """
        pool = slot.pool
        self.connect_failures += 1
        if slot.heir is not None:
            slot.heir.counters.connect_failures += 1
        self._connected(slot)
        self._close(slot)
        self._renewing[pool] = None
        if everywhere:
            pool.breaker.abandon(now)
            self._rank_all(pool)
            self._failed_everywhere(now, error)
        else:
            self._recovered(self.breaker, self.name)
            if self._failed(now, pool.breaker, pool.name, error):
                self._tripped[pool] = None
        if final and not pool.open:
            for tenant in list(pool.ranking):
                self._refuse_all(now, tenant, explain.connect_failed, error)
        self._give_up(now, pool)
        self._dispatch(now)
        self._report_warmed(pool)
        return self._flush()

    def closed(self, now: float, slot: Slot) -> Actions:
        """A connection's backend is gone: its slot is free."""
        self._closed(now, slot)
        if slot.pool.renewal is not None:
            self._renewing[slot.pool] = None
        self._give_up(now, slot.pool)
        self._dispatch(now)
        return self._flush()

    def lost(self, now: float, slot: Slot) -> Actions:
        """The server has closed an idle connection. (One in use is its holder's to return.)

        As long as nobody uses its pool, it is not replaced: the server may be down.
        """
        if slot.state == IDLE:
            tenant = slot.tenant or next(iter(slot.pool.tenants), None)
            if tenant is not None:
                tenant.counters.lost += 1
            slot.pool.lost_at = now
            self._close(slot)
        return self._flush()

    def cleaned(self, now: float, slot: Slot, *, healthy: bool = True) -> Actions:
        """A returned connection's session has been wiped; or could not be, if not *healthy*."""
        slot.tenant = None
        if not healthy or self._has_to_go(now, slot):
            self._close(slot)
        else:
            self._reuse(now, slot)
        return self._flush()

    # -- time ----------------------------------------------------------------------------------

    def wake(self, now: float) -> Actions:
        """The time of a ``WakeAt`` has come, or that of another database."""
        for pool in [pool for pool in self._tripped if pool.breaker.allows(now)]:
            del self._tripped[pool]
            self._rank_all(pool)
            self._renewing[pool] = None
        breakers = (self.breaker, *(pool.breaker for pool in self._tripped))
        if later := [b.retry_at for b in breakers if b.state == OPEN and b.retry_at > now]:
            self._actions.append(WakeAt(min(later)))
        self._end_overdue(now)
        self._dispatch(now)
        return self._flush()

    def sweep(self, now: float, pool: Pool) -> Actions:
        """Upkeep of one pool: leases held too long, old and idle connections, ``min_size``."""
        is_in_use = pool.live and pool.last_used >= pool.lost_at
        kept = is_in_use and not upkeep.is_abandoned(now, pool)
        for request in upkeep.leaks(now, pool):
            self._report_leak(now, request)
        for request in upkeep.overdue(now, pool):
            self._revoke(now, request)
        if forgotten := upkeep.forgotten(now, pool):
            self._forget(now, pool, forgotten)
        for slot in upkeep.stale(now, pool):
            self._close(slot)
        if kept:
            self._want_warm(pool)
        if pool.renewal is not None:
            self._renewing[pool] = None
        self._dispatch(now)
        return self._flush()

    # -- steps ---------------------------------------------------------------------------------

    def _guard(self, now: float, tenant: Tenant) -> Refused | None:
        if tenant.stopped or self.closing:
            return explain.stopped(self, tenant)
        if tenant.bucket is not None and (retry_after := tenant.bucket.take(now)):
            if RATE not in tenant.limits.trial:
                return explain.rate_limited(self, tenant, retry_after)
            tenant.would_refuse(Reason.RATE_LIMIT)
        return None

    def _report_leak(self, now: float, request: Request) -> None:
        if not request.leak_reported:
            request.leak_reported = True
            request.tenant.counters.leaks += 1
            request.tenant.tally.leaks += 1
            self._actions.append(Notice("leak", account(now, request)))

    def _spread(self) -> float:
        """How much of ``max_lifetime`` the next connection may live: spread evenly, no chance."""
        self.opens += 1
        return 1.0 - _LIFETIME_SPREAD * (self.opens * _GOLDEN_RATIO % 1.0)
