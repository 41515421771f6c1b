"""The shell around the core of one database: its tenants, its limits, its life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import AsyncConnection

from tenantpool.concurrency import AsyncSignal
from tenantpool.config import Settings
from tenantpool.config.resolved import PoolSpec, TenantSpec
from tenantpool.core import actions as act
from tenantpool.core.database import Database
from tenantpool.core.pool import Pool
from tenantpool.core.tenant import Tenant
from tenantpool.insight.insight import Insight
from tenantpool.journal import report
from tenantpool.manager.advice import Server
from tenantpool.manager.register import Register
from tenantpool.pools import session
from tenantpool.pools._async.pool import AsyncPassivePool

from .performer import AsyncPerformer, Seating
from .steward import AsyncSteward

if TYPE_CHECKING:
    from .lease import AsyncLease

_DRAIN_POLL = 0.02
_SLICE = 50
"""Pools that are looked at in one go."""
_RETURN_DELAY = 0.001
"""Seconds for which requests go before returns, as long as nobody waits for them."""
_EMPTY_EVERY = 60
"""A pool without connections can only be forgotten, so every 60th sweep looks at it."""


class AsyncShell(AsyncPerformer):
    """One database at work."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        alarm: Callable[[float], None],
        seating: Seating,
        connection_class: type[AsyncConnection[Any]],
        kwargs: Mapping[str, Any],
        configure: Callable[[AsyncConnection[Any]], Awaitable[None]] | None,
        mark: str | None = None,
        register: Register | None = None,
        insight: Insight | None = None,
    ) -> None:
        steward = AsyncSteward(name, settings, mark, register)
        super().__init__(
            Database(name, settings.database_limits(name, steward.size)),
            steward,
            alarm=alarm,
            seating=seating,
            close_timeout=settings.databases[name].close_timeout,
        )
        self.insight = insight
        self.check_after = self.core.limits.check_after
        self._settings = settings
        self._connection_class = connection_class
        self._kwargs = kwargs
        self._configure = configure
        if True:  # ASYNC
            self._returned: list[AsyncLease] = []
            self._returning: asyncio.Handle | None = None
        self._learning = False
        self._sweeps = 0

    @property
    def server(self) -> Server:
        """What advice needs to know of the database."""
        core, database = self.core, self._settings.databases[self.name]
        return Server(
            self.name,
            core.limits.capacity,
            database.capacity == "auto",
            core.limits.connect_concurrency,
            core.breaker.state,
            str(core.breaker.error or "").strip(),
        )

    if True:  # ASYNC

        def release(self, lease: AsyncLease, *, healthy: bool) -> None:
            """Take *lease* back, now or in a moment. Does not block.

            Whoever gave it back may ask for the next one at once: unless somebody waits, that
            need not wait until this has been wiped.
            """
            tenant = lease.tenant
            if not healthy or tenant.queue or tenant.pool.ranking or self.core.ranking:
                self.step(self.core.release, lease, healthy=healthy)
                return
            self._returned.append(lease)
            if self._returning is None:
                loop = asyncio.get_running_loop()
                self._returning = loop.call_later(_RETURN_DELAY, self._take_back)

        def prepare(self, tenant: Tenant) -> None:
            """*tenant* is about to ask: take back what came back, now or when it is answered."""
            if self._returning is None:
                return
            self._returning.cancel()
            if tenant.pool.idle and tenant.in_use < tenant.limits.cap:
                # While the one at hand is used, the others can be wiped.
                self._returning = asyncio.get_running_loop().call_soon(self._take_back)
            else:
                self._take_back()

        def _take_back(self) -> None:
            self._returning = None
            returned, self._returned = self._returned, []
            for lease in returned:
                self.step(self.core.release, lease)

    # -- tenants -------------------------------------------------------------------------------

    def seat(self, name: str) -> tuple[AsyncShell, Tenant]:
        """Where the tenant of that name is served now, here or elsewhere. Does not block."""
        return self._seating.seat(name)

    def tenant(self, spec: TenantSpec) -> Tenant:
        """The tenant in the core as *spec* has it, brought into being on first use.

        Does not block.
        """
        apply = session.apply(spec.session)
        with self.lock:
            tenant = self.core.tenant(
                monotonic(), spec.name, spec.limits, spec.pool, spec.pool.dbname, apply
            )
            actions = self._change(tenant, spec, apply)
        self.perform(actions)
        return tenant

    def change(self, tenant: Tenant, spec: TenantSpec) -> None:
        """Let what *spec* says of the tenant be in force. Does not block."""
        apply = session.apply(spec.session)
        with self.lock:
            actions = self._change(tenant, spec, apply)
        self.perform(actions)

    def _change(self, tenant: Tenant, spec: TenantSpec, apply: str) -> list[act.Action]:
        core, now = self.core, monotonic()
        actions: list[act.Action] = []
        if tenant.pool.key != spec.pool:
            actions += core.move(now, tenant, spec.pool, spec.pool.dbname, apply)
        if tenant.pool.resource is None:
            tenant.pool.resource = self._make_pool(tenant.pool, spec.pool)
        if tenant.limits != spec.limits or tenant.session != apply:
            actions += core.set_tenant(now, tenant, spec.limits, apply)
        if tenant.suspended != spec.suspended:
            if spec.suspended:
                actions += core.suspend(now, tenant, spec.suspended)
            else:
                actions += core.unsuspend(now, tenant)
        return actions

    def _make_pool(self, pool: Pool, spec: PoolSpec) -> AsyncPassivePool:
        return AsyncPassivePool(
            pool,
            lambda: self.steward.params(spec),
            connection_class=self._connection_class,
            kwargs=self._kwargs,
            configure=self._configure,
        )

    async def warm(self, tenant: Tenant, timeout: float) -> None:
        """Bring the tenant's pool to its ``min_size``, as far as there is room. Blocks for it."""
        signal = AsyncSignal()
        self._warmed.setdefault(tenant.pool, []).append(signal)
        self.step(self.core.warm, tenant)
        await signal.wait(timeout)

    # -- the life of the database --------------------------------------------------------------

    async def adopt(self, settings: Settings) -> None:
        """Let *settings* be in force for the database and its connections; see ``change``.

        Connections that would be made otherwise now are replaced. Blocks for some milliseconds at
        most between two awaits, however many pools there are.
        """
        old, self._settings = self._settings, settings
        capacity = self.steward.adopt(settings)
        database = settings.databases[self.name]
        self._close_timeout, self.check_after = database.close_timeout, database.check_after
        self._crew.resize(2 * database.connect_concurrency)
        limits = settings.database_limits(self.name, capacity or self.core.limits.capacity)
        if limits != self.core.limits:
            self.step(self.core.set_limits, limits)
        if not capacity:
            self._has_doubts = True
            if self.steward.has_own_slot:
                self._crew.run(self._start, AsyncSignal())
        if settings.resolver.logins(self.name) != old.resolver.logins(self.name):
            await self._renew(old)

    async def _renew(self, old: Settings) -> None:
        """Replace the connections of pools that would be made otherwise now."""
        with self.lock:
            pools = list(self.core.pools.values())
        for number, pool in enumerate(pools):
            assert isinstance(pool.key, PoolSpec)
            now, then = (settings.connection_params(pool.key) for settings in (self._settings, old))
            if now != then:
                self.step(self.core.renew, pool)
                for tenant in list(pool.tenants)[:1]:
                    self.step(self.core.reset_breaker, tenant)  # what failed may work now
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    def start(self) -> AsyncSignal:
        """Find out the capacity, in the background; the signal tells when that is over."""
        started = AsyncSignal()
        if self.core.limits.capacity:
            started.set()
        else:
            self._crew.run(self._start, started)
        return started

    async def _start(self, started: AsyncSignal) -> None:
        self._learning = True
        try:
            await self._learn_capacity()
        finally:
            self._learning = False
            started.set()

    async def _learn_capacity(self) -> None:
        """Ask the server for its limit; blocks for a connect.

        A server that can't be reached is no error: nobody may connect to it before it has been
        asked again.
        """
        try:
            capacity = await self.steward.learn()
        except (psycopg.Error, OSError) as error:
            report(logging.WARNING, "capacity unknown", database=self.name, error=error)
            if not self.core.limits.capacity:
                self.step(self.core.unreachable, error)
        else:
            self.step(self.core.reachable, capacity)

    async def retire(self) -> None:
        """Its database is configured no more, and nothing is left there. Blocks, bounded."""
        await self._join()
        await self.steward.close()

    async def make_direct(self, lease: AsyncLease) -> str:
        """Let a worker connect by itself under *lease*: return its libpq string, with password.

        The lease's own connection is ended, and the slot stays taken. The tenant's session
        settings are the connection's start-up settings, so they are also what a RESET goes back
        to; text in them that is not ASCII is right where the database's encoding is UTF-8. The
        application's *configure* does not see it. The worker may have one connection at a time;
        when the lease ends, that is ended by the server.

        Blocks, bounded. Raises NotAllowed if that could not be ended, ConnectFailed, LeaseEnded;
        unless it is NotAllowed, the lease is of no use any more and is to be released.
        """
        return await self.steward.make_direct(lease, self.lock)

    def sweep(self) -> None:
        """Upkeep, a pool at a time, so that nobody waits for the lock for long."""
        unsettled = not self.core.limits.capacity or self.steward.has_leftovers
        if unsettled and not self._learning:
            self._crew.run(self._start, AsyncSignal())
        if self.steward.is_due:
            self._crew.run(self.steward.look)
        self.drop_lost()
        self._sweeps += 1
        every = self._sweeps % _EMPTY_EVERY == 0
        with self.lock:
            pools = list(self.core.pools.values())
        for pool in pools:
            if pool.slots or every:
                self.step(self.core.sweep, pool)

    def leases(self) -> list[AsyncLease]:
        """The leases in use."""
        with self.lock:
            slots = [slot for pool in self.core.pools.values() for slot in pool.slots]
            return [slot.request for slot in slots if slot.request is not None]  # type: ignore[misc]

    async def drain(self, tenant: Tenant, timeout: float) -> bool:
        """Drain *tenant*; return whether its leases came back within *timeout* seconds."""
        deadline = monotonic() + timeout
        self.step(self.core.drain, tenant)
        while not tenant.is_idle:
            if monotonic() >= deadline:
                return False
            await asyncio.sleep(_DRAIN_POLL)
        return True

    async def close(self, grace: float) -> int:
        """Refuse new leases, wait up to *grace* seconds for those in use, then revoke them.

        Blocks until every backend is gone; one that does not go in ``close_timeout`` stays in the
        books. Return how many leases were revoked.
        """
        self._emptied = AsyncSignal()
        self.step(self.core.shutdown)
        if True:  # ASYNC
            if self._returning is not None:
                self._returning.cancel()
                self._take_back()
        late: list[AsyncLease] = []
        if self.core.used and not await self._emptied.wait(grace):
            late = self.leases()
            for lease in late:
                self.step(self.core.revoke, lease)
        self._stopping = True
        await self._join()
        await self.steward.close()
        return len(late)

    async def _join(self) -> None:
        """Wait until all that is under way has ended."""
        if True:  # ASYNC
            if self._wiper is not None:
                await self._wiper.close()
        await self._crew.join()
