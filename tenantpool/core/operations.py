"""What an operator does, while everything goes on: limits, drains, suspensions, renewals."""

from __future__ import annotations

from dataclasses import replace

from . import explain
from .actions import Actions
from .breaker import CLOSED
from .limits import DatabaseLimits, TenantLimits
from .pool import Pool
from .renewal import Renewal
from .shrink import Shrinks
from .slot import CLOSING
from .tenant import Tenant


class Operations(Shrinks):
    """The events of operation. Those of a tenant mean who is known by its name now."""

    def set_limits(self, now: float, limits: DatabaseLimits) -> Actions:
        """Change what the database gives.

        A higher capacity is lent at once. Above a lower one idle connections close now, what is
        under way as it ends, and leases by the steps of ``shrink.py``. The breaker keeps its state.
        """
        before, self.limits = self.limits.capacity, limits
        self.breaker.adopt(limits.breaker)
        self.victims.set_min_age(now, limits.min_connection_age, self.pools.values())
        for _ in range(self.surplus):
            slot = self.victims.choose(now, urgent=True)
            if slot is None:
                break
            self._close(slot)
        self._review_capacity(now, before)
        self._dispatch(now)
        return self._flush()

    def set_capacity(self, now: float, capacity: int) -> Actions:
        """Change the capacity alone: see ``set_limits``."""
        return self.set_limits(now, replace(self.limits, capacity=capacity))

    def drain(self, now: float, tenant: Tenant) -> Actions:
        """Refuse the tenant's requests, and close what it holds as it comes back."""
        tenant = self._living(tenant)
        tenant.draining = True
        self._stop(now, tenant)
        self._unpark(tenant)
        self._dispatch(now)
        return self._flush()

    def resume(self, tenant: Tenant) -> None:
        """End a drain; a suspension stays."""
        tenant = self._living(tenant)
        tenant.draining = False
        self._reckon(tenant)

    def suspend(self, now: float, tenant: Tenant, why: str) -> Actions:
        """Refuse the tenant's requests with *why*, and take what it holds by the steps of shrink.

        So its leases are asked for, and ended at the deadline only if its tier says so.
        """
        tenant = self._living(tenant)
        before, tenant.suspended = tenant.ceiling, why or "by the operator"
        self._stop(now, tenant)
        self._adjust(now, tenant, before, f"the tenant is suspended: {tenant.suspended}")
        return self._flush()

    def unsuspend(self, now: float, tenant: Tenant) -> Actions:
        """End a suspension; a drain stays. Leases that are still out need not come back."""
        tenant = self._living(tenant)
        before, tenant.suspended = tenant.ceiling, ""
        self._reckon(tenant)
        self._adjust(now, tenant, before, "")
        return self._flush()

    def set_tenant(
        self, now: float, tenant: Tenant, limits: TenantLimits, session: object
    ) -> Actions:
        """Give the tenant other limits, and its sessions other settings.

        What grows acts at once. A lower ceiling takes back by the steps of ``shrink.py``, and idle
        connections above it close now; others go when ``max_idle`` is over. Whoever waits stays,
        whatever ``max_waiting`` says now. ``max_lifetime`` counts from when a connection was
        opened. The pool's breaker keeps its state; of several tenants the strictest limits count.
        """
        tenant = self._living(tenant)
        before = tenant.ceiling
        self._set_session(tenant, session)
        tenant.take_limits(now, limits, closing=self.closing)
        tenant.tally = self.tally(limits.tier)
        if tenant.forgotten:
            return ()  # these are the limits that it will be remembered by
        tenant.pool.update(tenant)
        self._adjust(now, tenant, before, f"tier {limits.tier} allows {limits.ceiling} connections")
        return self._flush()

    def renew(self, now: float, pool: Pool) -> Actions:
        """Replace the connections of *pool* by new ones, as ``renewal.py`` says.

        Connects that have begun count as of before. A renewal that is under way begins anew.
        """
        old = [slot for slot in pool.slots if slot.state != CLOSING]
        pool.renewal = Renewal(old) if old else None
        self._renewing[pool] = None
        self._dispatch(now)
        return self._flush()

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
            self._refuse_all(now, tenant, explain.stopped)
        for pool in self.pools.values():
            self._evict_idle(pool)
        self._dispatch(now)
        return self._flush()

    # -- steps ---------------------------------------------------------------------------------

    def _living(self, tenant: Tenant) -> Tenant:
        """Who is known by that name now: *tenant* may have been forgotten, and remembered."""
        return self.tenants.get(tenant.name, tenant)

    def _reckon(self, tenant: Tenant) -> None:
        tenant.reckon(closing=self.closing)
        tenant.pool.update(tenant)

    def _stop(self, now: float, tenant: Tenant) -> None:
        """*tenant* is drained or suspended."""
        self._reckon(tenant)
        self._refuse_all(now, tenant, explain.stopped)
        if tenant.pool.draining:
            self._evict_idle(tenant.pool)

    def _adjust(self, now: float, tenant: Tenant, before: int, why: str) -> None:
        """The ceiling of *tenant* may have changed: it gets more, or gives back."""
        self._review(now, tenant, before, why)
        pool = tenant.pool
        for slot in list(pool.idle)[: max(0, pool.live - pool.ceiling)]:
            self._close(slot)
        if pool.live:
            self._want_warm(pool)
        self._rank(tenant)
        self._make_up(now, tenant)

    def _set_session(self, tenant: Tenant, session: object) -> None:
        """Connections that carry the former session are somebody else's from now on."""
        if session == tenant.session:
            return
        former = Tenant(tenant.name, tenant.pool, tenant.limits, tenant.session, 0.0)
        former.forgotten = former.departed = True
        for slot in self.slots:
            if slot.tenant is tenant:
                slot.tenant = former
        tenant.session = session

    def _evict_idle(self, pool: Pool) -> None:
        for slot in list(pool.idle):
            self._close(slot)
