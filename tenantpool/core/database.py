"""One database, one hard limit: the events of its life.

Every method that takes ``now`` is an event (seconds, any steady clock, never running backwards).
It changes the state and returns what the shell has to do. Nothing here blocks, reads a clock or
calls anybody; the shell holds one lock around each call, and performs the actions without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec

from tenantpool.errors import Refused

from . import explain, upkeep
from .actions import Actions, Answer, Notice, Reset, WakeAt
from .books import SMOOTHING
from .breaker import CLOSED, OPEN, Breaker
from .limits import DatabaseLimits
from .pool import Pool
from .request import CANCELLED, GRANTED, NEW, RETURNED, REVOKED, WAITING, Request
from .scheduler import Scheduler
from .slot import RESETTING, Slot
from .tenant import Tenant

P = ParamSpec("P")

_GOLDEN_RATIO = 0.6180339887498949
_LIFETIME_SPREAD = 0.05
_LONGEST_OUTLIER = 10.0


class Database(Scheduler):
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
            tenant = request.tenant = self._remember(now, tenant)
        pool = tenant.pool
        request.since = tenant.last_used = pool.last_used = now
        pool.demand.note(now)
        tenant.counters.requests += 1
        if tenant.guarded and (error := self._guard(now, tenant)) is not None:
            self._refuse(now, request, error)
        elif (
            pool.idle
            and tenant.in_use < tenant.limits.cap
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
        return self._flush()

    def expire(self, now: float, request: Request) -> Actions:
        """The caller's time is over: refuse, unless it has been granted in the meantime."""
        if request.state == WAITING:
            self._refuse(now, request, explain.timed_out(self, request.tenant))
            self._dispatch(now)
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
        elif tenant.draining or self._has_to_go(now, slot):
            self._close(slot)
        elif tenant.limits.reset_always or request.wipe:
            slot.become(RESETTING)
            self._actions.append(Reset(slot))
        else:
            self._reuse(now, slot)
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
        if tenant.draining or self.closing:
            self._refuse(now, request, explain.draining(self, tenant))
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
        slot.expires_at = now + self._lifetime(pool)
        slot.quantum_ends = now + self.quantum
        if self._has_to_go(now, slot):
            self._close(slot)
        else:
            self.victims.opened(now, slot)
            self._settle(now, slot)
            self._want_warm(pool)
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
        heir = self._connected(slot)
        heir.counters.connect_failures += 1
        self.connect_failures += 1
        self._close(slot)
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
        self._closed(slot)
        self._give_up(now, slot.pool)
        self._dispatch(now)
        return self._flush()

    def cleaned(self, now: float, slot: Slot, *, healthy: bool = True) -> Actions:
        """A returned connection's session has been wiped; or could not be, if not *healthy*."""
        slot.tenant = None
        if not healthy or self._has_to_go(now, slot):
            self._close(slot)
        else:
            self._reuse(now, slot)
        return self._flush()

    # -- the operator --------------------------------------------------------------------------

    def set_capacity(self, now: float, capacity: int) -> Actions:
        """Change the limit. Above it, idle connections close now and the others as they return."""
        self.limits = replace(self.limits, capacity=capacity)
        for _ in range(self.surplus):
            slot = self.victims.choose(now, urgent=True)
            if slot is None:
                break
            self._close(slot)
        self._dispatch(now)
        return self._flush()

    def drain(self, now: float, tenant: Tenant) -> Actions:
        """Refuse the tenant's requests, and close what it holds as it comes back."""
        tenant.draining = tenant.guarded = True
        self._refuse_all(now, tenant, explain.draining)
        tenant.pool.sum_up()
        if tenant.pool.draining:
            self._evict_idle(tenant.pool)
        self._dispatch(now)
        return self._flush()

    def resume(self, tenant: Tenant) -> None:
        """End a drain."""
        tenant.draining = tenant.pool.draining = False
        tenant.guarded = self.closing or tenant.bucket is not None

    def evict(self, now: float, tenant: Tenant) -> Actions:
        """Close the idle connections of the tenant's pool."""
        self._evict_idle(tenant.pool)
        self._dispatch(now)
        return self._flush()

    def warm(self, now: float, tenant: Tenant) -> Actions:
        """Open connections up to ``min_size``, as far as there is room; then ``Warmed``."""
        pool = tenant.pool
        pool.last_used = tenant.last_used = now
        pool.warming = True
        self._warming[pool] = None
        self._dispatch(now)
        return self._flush()

    def reset_breaker(self, now: float, tenant: Tenant) -> Actions:
        """Close the breaker of the tenant's pool by hand."""
        self._recovered(tenant.pool.breaker, tenant.pool.name)
        self._rank_all(tenant.pool)
        self._dispatch(now)
        return self._flush()

    def unreachable(self, now: float, error: BaseException) -> Actions:
        """The database could not be asked for its capacity: nobody may connect for a while."""
        while self.breaker.state == CLOSED:
            self._failed_everywhere(now, error)
        self._dispatch(now)
        return self._flush()

    def reachable(self, now: float, capacity: int) -> Actions:
        """The database could be asked for its *capacity*, so it takes connections."""
        self._recovered(self.breaker, self.name)
        return self.set_capacity(now, capacity)

    def shutdown(self, now: float) -> Actions:
        """Refuse every request from now on, and close connections as they come back."""
        self.closing = True
        for tenant in self.tenants.values():
            tenant.guarded = True
            self._refuse_all(now, tenant, explain.draining)
        for pool in self.pools.values():
            self._evict_idle(pool)
        self._dispatch(now)
        return self._flush()

    # -- time ----------------------------------------------------------------------------------

    def wake(self, now: float) -> Actions:
        """The time of a ``WakeAt`` has come, or that of another database."""
        for pool in [pool for pool in self._tripped if pool.breaker.allows(now)]:
            del self._tripped[pool]
            self._rank_all(pool)
        breakers = (self.breaker, *(pool.breaker for pool in self._tripped))
        if later := [b.retry_at for b in breakers if b.state == OPEN and b.retry_at > now]:
            self._actions.append(WakeAt(min(later)))
        self._dispatch(now)
        return self._flush()

    def sweep(self, now: float, pool: Pool) -> Actions:
        """Upkeep of one pool: leases held too long, old and idle connections, ``min_size``."""
        kept = pool.live and not upkeep.is_abandoned(now, pool)
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
        self._dispatch(now)
        return self._flush()

    # -- steps ---------------------------------------------------------------------------------

    def _guard(self, now: float, tenant: Tenant) -> Refused | None:
        if tenant.draining or self.closing:
            return explain.draining(self, tenant)
        if tenant.bucket is not None and (retry_after := tenant.bucket.take(now)):
            return explain.rate_limited(self, tenant, retry_after)
        return None

    def _remember(self, now: float, tenant: Tenant) -> Tenant:
        """A tenant that was forgotten between being looked up and being asked for."""
        pool = tenant.pool
        if pool.key not in self.pools:
            self.pools[pool.key] = pool
            self.breakers.pop(pool.key, None)
        return self.tenant(now, tenant.name, tenant.limits, pool.key, pool.name, tenant.session)

    def _refuse_all(
        self,
        now: float,
        tenant: Tenant,
        why: Callable[Concatenate[Database, Tenant, P], Refused],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        for request in list(tenant.queue):
            self._refuse(now, request, why(self, tenant, *args, **kwargs))

    def _evict_idle(self, pool: Pool) -> None:
        for slot in list(pool.idle):
            self._close(slot)

    def _revoke(self, now: float, request: Request) -> None:
        slot = self._end_lease(now, request, REVOKED)
        request.tenant.counters.revoked += 1
        request.tenant.tally.revoked += 1
        self._close(slot, revoked=True)
        self._actions += [Answer(request), Notice("revoked", _account(now, request))]
        self._make_up(now, request.tenant)

    def _report_leak(self, now: float, request: Request) -> None:
        if not request.leak_reported:
            request.leak_reported = True
            request.tenant.counters.leaks += 1
            request.tenant.tally.leaks += 1
            self._actions.append(Notice("leak", _account(now, request)))

    def _lifetime(self, pool: Pool) -> float:
        """Seconds that the next connection of *pool* may live: spread evenly, without chance."""
        self.opens += 1
        spread = _LIFETIME_SPREAD * (self.opens * _GOLDEN_RATIO % 1.0)
        return pool.max_lifetime * (1.0 - spread)

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


def _account(now: float, request: Request) -> dict[str, object]:
    """A lease in words that can be kept: the lease itself would keep its connection alive."""
    held = now - request.granted_at
    return {"tenant": request.tenant.name, "holder": request.holder, "held": held}
