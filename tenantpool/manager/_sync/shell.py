# Generated from ../_async/shell.py by tools/generate_sync.py: do not edit.
"""The shell around the core of one database: its tenants, its limits, its life."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection

from tenantpool.concurrency import Signal
from tenantpool.config import Settings
from tenantpool.config.resolved import PoolSpec, TenantSpec
from tenantpool.core import actions as act
from tenantpool.core.database import Database
from tenantpool.core.pool import Pool
from tenantpool.core.tenant import Tenant
from tenantpool.insight.insight import Insight
from tenantpool.journal import report
from tenantpool.manager.advice import Server
from tenantpool.pools import session
from tenantpool.pools._sync.pool import PassivePool

from .performer import Performer, Seating
from .steward import Steward

if TYPE_CHECKING:
    from .lease import Lease

_DRAIN_POLL = 0.02
_SLICE = 50
"""Pools that are looked at in one go."""
_RETURN_DELAY = 0.001
"""Seconds for which requests go before returns, as long as nobody waits for them."""
_EMPTY_EVERY = 60
"""A pool without connections can only be forgotten, so every 60th sweep looks at it."""


class Shell(Performer):
    """One database at work."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        alarm: Callable[[float], None],
        seating: Seating,
        connection_class: type[Connection[Any]],
        kwargs: Mapping[str, Any],
        configure: Callable[[Connection[Any]], None] | None,
        mark: str | None = None,
        insight: Insight | None = None,
    ) -> None:
        steward = Steward(name, settings, mark)
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

    # -- tenants -------------------------------------------------------------------------------

    def seat(self, name: str) -> tuple[Shell, Tenant]:
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

    def _make_pool(self, pool: Pool, spec: PoolSpec) -> PassivePool:
        return PassivePool(
            pool,
            lambda: self.steward.params(spec),
            connection_class=self._connection_class,
            kwargs=self._kwargs,
            configure=self._configure,
        )

    def warm(self, tenant: Tenant, timeout: float) -> None:
        """Bring the tenant's pool to its ``min_size``, as far as there is room. Blocks for it."""
        signal = Signal()
        self._warmed.setdefault(tenant.pool, []).append(signal)
        self.step(self.core.warm, tenant)
        signal.wait(timeout)

    # -- the life of the database --------------------------------------------------------------

    def adopt(self, settings: Settings) -> None:
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
                self._crew.run(self._start, Signal())
        if settings.resolver.logins(self.name) != old.resolver.logins(self.name):
            self._renew(old)

    def _renew(self, old: Settings) -> None:
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
                time.sleep(0)

    def start(self) -> Signal:
        """Find out the capacity, in the background; the signal tells when that is over."""
        started = Signal()
        if self.core.limits.capacity:
            started.set()
        else:
            self._crew.run(self._start, started)
        return started

    def _start(self, started: Signal) -> None:
        self._learning = True
        try:
            self._learn_capacity()
        finally:
            self._learning = False
            started.set()

    def _learn_capacity(self) -> None:
        """Ask the server for its limit; blocks for a connect.

        A server that can't be reached is no error: nobody may connect to it before it has been
        asked again.
        """
        try:
            capacity = self.steward.learn()
        except (psycopg.Error, OSError) as error:
            report(logging.WARNING, "capacity unknown", database=self.name, error=error)
            if not self.core.limits.capacity:
                self.step(self.core.unreachable, error)
        else:
            self.step(self.core.reachable, capacity)

    def retire(self) -> None:
        """Its database is configured no more, and nothing is left there. Blocks, bounded."""
        self._join()
        self.steward.close()

    def make_direct(self, lease: Lease) -> str:
        """Let a worker connect by itself under *lease*: return its libpq string, with password.

        The lease's own connection is ended, and the slot stays taken. The tenant's session
        settings are the connection's start-up settings, so they are also what a RESET goes back
        to; text in them that is not ASCII is right where the database's encoding is UTF-8. The
        application's *configure* does not see it. The worker may have one connection at a time;
        when the lease ends, that is ended by the server.

        Blocks, bounded. Raises NotAllowed if that could not be ended, ConnectFailed, LeaseEnded;
        unless it is NotAllowed, the lease is of no use any more and is to be released.
        """
        return self.steward.make_direct(lease, self.lock)

    def sweep(self) -> None:
        """Upkeep, a pool at a time, so that nobody waits for the lock for long."""
        unsettled = not self.core.limits.capacity or self.steward.has_leftovers
        if unsettled and not self._learning:
            self._crew.run(self._start, Signal())
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

    def leases(self) -> list[Lease]:
        """The leases in use."""
        with self.lock:
            slots = [slot for pool in self.core.pools.values() for slot in pool.slots]
            return [slot.request for slot in slots if slot.request is not None]  # type: ignore[misc]

    def drain(self, tenant: Tenant, timeout: float) -> bool:
        """Drain *tenant*; return whether its leases came back within *timeout* seconds."""
        deadline = monotonic() + timeout
        self.step(self.core.drain, tenant)
        while not tenant.is_idle:
            if monotonic() >= deadline:
                return False
            time.sleep(_DRAIN_POLL)
        return True

    def close(self, grace: float) -> int:
        """Refuse new leases, wait up to *grace* seconds for those in use, then revoke them.

        Blocks until every backend is gone; one that does not go in ``close_timeout`` stays in the
        books. Return how many leases were revoked.
        """
        self._emptied = Signal()
        self.step(self.core.shutdown)
        late: list[Lease] = []
        if self.core.used and not self._emptied.wait(grace):
            late = self.leases()
            for lease in late:
                self.step(self.core.revoke, lease)
        self._stopping = True
        self._join()
        self.steward.close()
        return len(late)

    def _join(self) -> None:
        """Wait until all that is under way has ended."""
        self._crew.join()
