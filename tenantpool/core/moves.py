"""A tenant moves: to another pool of its database, or to another database.

Who waits goes along and keeps its place. Leases in use end where they are, and count towards the
tenant's cap until then. On a database that it has left, the tenant is no longer known: what is left
of it are its leases, and whoever still asks for it there is told that it is ``Elsewhere``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from . import explain
from .actions import Actions, Elsewhere
from .operations import Operations
from .pool import Pool
from .request import NEW, Request
from .slot import CLOSING, OPENING, Slot
from .tenant import Tenant


class Moves(Operations):
    """The events of moving."""

    def move(
        self, now: float, tenant: Tenant, key: Hashable, pool_name: str, session: object
    ) -> Actions:
        """Go to another pool of this database, which is brought into being if need be.

        Connects that are under way for the tenant belong to the former pool; they are closed there
        if it has no other tenants. *session* is what connections are given for it there.
        """
        tenant = self._living(tenant)
        former, pool = tenant.pool, self._pool(now, key, pool_name, tenant.limits)
        self._set_session(tenant, session)
        tenant.pool = pool
        if tenant.forgotten:
            self._forget_pool(now, pool)
            return ()
        if pool is not former:
            self._unbind(tenant, [s for s in former.slots if s.state == OPENING])
            pool.attach(tenant)
            self._unpark(tenant)
            was_used = former.live > 0
            self._vacate(now, former, tenant)
            self._settle_in(now, tenant, len(tenant.queue), warm=was_used)
        return self._flush()

    def leave(self, now: float, tenant: Tenant) -> tuple[list[Request], Actions]:
        """Go to another database: return those who waited, first come first, to ``arrive`` there.

        Nobody is refused. The leases that are still in use here end here; with each, ``Departed``
        says that it does not count any more.
        """
        tenant = self._living(tenant)
        requests = self._empty_queue(tenant)
        tenant.departed = True
        if not tenant.forgotten:
            tenant.forgotten = True
            self._unbind(tenant, self.slots)
            del self.tenants[tenant.name]
            self._vacate(now, tenant.pool, tenant)
        tenant.abroad = 0
        tenant.reckon(closing=self.closing)
        self._unpark(tenant)
        self._dispatch(now)
        return requests, self._flush()

    def arrive(
        self, now: float, tenant: Tenant, requests: Iterable[Request], abroad: int
    ) -> Actions:
        """Come from another database with those who waited there, unless they have ended since.

        They keep their priority and since when they wait; ``max_waiting`` refuses none of them.
        *abroad* leases are still in use where it was before, and count towards its cap here.
        """
        tenant = self._living(tenant)
        if tenant.forgotten:
            tenant = self._remember(now, tenant)
        tenant.abroad += abroad
        tenant.reckon(closing=self.closing)
        coming = [request for request in requests if request.state == NEW]
        for request in coming:
            request.tenant = tenant
            self._join_queue(request)
        if tenant.stopped or self.closing:
            self._refuse_all(now, tenant, explain.stopped)
        self._settle_in(now, tenant, len(coming), warm=bool(coming or abroad))
        return self._flush()

    def came_home(self, now: float, tenant: Tenant) -> Actions:
        """A lease has ended that the tenant held where it was before: see ``Departed``."""
        tenant = self._living(tenant)
        if tenant.departed:
            return ()
        before = tenant.ceiling
        tenant.abroad -= 1
        tenant.reckon(closing=self.closing)
        self._adjust(now, tenant, before, "")
        return self._flush()

    # -- steps ---------------------------------------------------------------------------------

    def _unbind(self, tenant: Tenant, slots: Iterable[Slot]) -> None:
        """What is on its way to *tenant* among *slots* is on its way to nobody."""
        for slot in slots:
            if slot.heir is tenant:
                slot.heir = None
                tenant.pending -= 1
                self.connecting -= slot.state == CLOSING

    def _vacate(self, now: float, pool: Pool, tenant: Tenant) -> None:
        """*tenant* has gone from *pool*, which is closed if nobody else is there."""
        pool.ranking.discard(tenant)
        self.ranking.discard(tenant)
        self.held_up.pop(tenant, None)
        pool.detach([tenant])
        if pool.draining:
            self._evict_idle(pool)
        self._forget_pool(now, pool)

    def _settle_in(self, now: float, tenant: Tenant, waiters: int, *, warm: bool) -> None:
        """*tenant* has come to its pool with so many *waiters*; *warm* it if it is in use."""
        pool = tenant.pool
        pool.last_used = tenant.last_used = now
        for _ in range(waiters):
            pool.demand.note(now)
        self._rank(tenant)
        if warm:
            self._want_warm(pool)
        self._make_up(now, tenant)

    def _send_on(self, request: Request) -> Actions:
        """*request* is for a tenant that has left."""
        request.state = NEW
        self._actions.append(Elsewhere(request))
        return self._flush()

    def _remember(self, now: float, tenant: Tenant) -> Tenant:
        """A tenant that was forgotten between being looked up and being asked for."""
        pool = tenant.pool
        if pool.key not in self.pools:
            self.pools[pool.key] = pool
            self.breakers.pop(pool.key, None)
        again = self.tenant(now, tenant.name, tenant.limits, pool.key, pool.name, tenant.session)
        if tenant.suspended and not again.suspended:
            again.suspended = tenant.suspended
            again.reckon(closing=self.closing)
            again.pool.update(again)
        return again
