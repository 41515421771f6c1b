"""The shell around the core of one database: it steps the core, and performs what that asks for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import psycopg
from psycopg import AsyncConnection

from tenantpool.concurrency import AsyncCrew, AsyncLock, AsyncSignal
from tenantpool.config import Settings
from tenantpool.config.resolved import PoolSpec, TenantSpec
from tenantpool.core import actions as act
from tenantpool.core.database import Database
from tenantpool.core.pool import Pool
from tenantpool.core.slot import Slot
from tenantpool.core.tenant import Tenant
from tenantpool.manager.journal import report
from tenantpool.pools import session
from tenantpool.pools._async.link import AsyncLink
from tenantpool.pools._async.pool import AsyncPassivePool
from tenantpool.pools.failures import classify
from tenantpool.pools.quick_wipe import Wiper

from .steward import AsyncSteward

if TYPE_CHECKING:
    from .lease import AsyncLease

P = ParamSpec("P")

_DRAIN_POLL = 0.02
_RETURN_DELAY = 0.001
"""Seconds for which requests go before returns, as long as nobody waits for them."""
_EMPTY_EVERY = 60
"""A pool without connections can only be forgotten, so every 60th sweep looks at it."""


class AsyncShell:
    """One database at work.

    ``lock`` is held around each step of the core, and for nothing else: no I/O and no code of a
    caller runs under it. Background jobs report their outcome as the next event.
    """

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        alarm: Callable[[float], None],
        forget: Callable[[str], None],
        connection_class: type[AsyncConnection[Any]],
        kwargs: Mapping[str, Any],
        configure: Callable[[AsyncConnection[Any]], Awaitable[None]] | None,
        mark: str | None = None,
    ) -> None:
        self.name = name
        self.lock = AsyncLock()
        self.steward = AsyncSteward(name, settings, mark)
        self.core = Database(name, settings.database_limits(name, self.steward.size))
        self.check_after = self.core.limits.check_after
        self._settings = settings
        self._close_timeout = settings.databases[name].close_timeout
        self._alarm = alarm
        self._forget = forget
        self._connection_class = connection_class
        self._kwargs = kwargs
        self._configure = configure
        self._crew = AsyncCrew(2 * self.core.limits.connect_concurrency, f"tenantpool-{name}")
        if True:  # ASYNC
            self._returned: list[AsyncLease] = []
            self._returning: asyncio.TimerHandle | None = None
            self._wiper: Wiper | None = None
        self._emptied: AsyncSignal | None = None
        self._warmed: dict[Pool, list[AsyncSignal]] = {}
        self._stopping = False
        self._learning = False
        self._sweeps = 0
        self._disowned = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.core!r}>"

    def disown(self) -> None:
        """This process is a fork: the connections are the parent's, so nothing is done to them."""
        self.lock = AsyncLock()
        self._disowned = True

    # -- stepping the core ---------------------------------------------------------------------

    def step(
        self,
        event: Callable[Concatenate[float, P], act.Actions],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Tell the core of an *event* and perform what it answers. Does not block."""
        with self.lock:
            actions = event(monotonic(), *args, **kwargs)
        if actions:
            self.perform(actions)

    def perform(self, actions: act.Actions) -> None:
        """Start each of *actions*. Does not block; call it without the lock."""
        if self._disowned:
            return
        for action in actions:
            match action:
                case act.Answer(request):
                    request.answer()
                case act.Open(slot):
                    self._crew.run(self._open, slot)
                case act.Close(slot, revoked):
                    self._crew.run(self._close, slot, revoked)
                case act.Reset(slot):
                    self._wipe(slot)
                case act.WakeAt(when):
                    self._alarm(when)
                case act.Warmed(pool):
                    self._wake_warmed(pool)
                case act.Forgotten(tenant):
                    self._forget(tenant.name)
                case act.Notice(event, fields):
                    report(logging.WARNING, event, database=self.name, **fields)

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
            """*tenant* is about to ask: what came back is needed now, unless one is at hand."""
            at_hand = tenant.pool.idle and tenant.in_use < tenant.limits.cap
            if self._returning is not None and not at_hand:
                self._returning.cancel()
                self._take_back()

        def _take_back(self) -> None:
            self._returning = None
            returned, self._returned = self._returned, []
            for lease in returned:
                self.step(self.core.release, lease)

    # -- tenants -------------------------------------------------------------------------------

    def tenant(self, spec: TenantSpec) -> Tenant:
        """The tenant in the core, brought into being on first use. Does not block."""
        apply = session.apply(spec.session)
        with self.lock:
            tenant = self.core.tenant(
                monotonic(), spec.name, spec.limits, spec.pool, spec.pool.dbname, apply
            )
            if tenant.pool.resource is None:
                tenant.pool.resource = self._make_pool(tenant.pool, spec.pool)
        return tenant

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

    def _wake_warmed(self, pool: Pool) -> None:
        for signal in self._warmed.pop(pool, ()):
            signal.set()

    # -- performing: each job ends in exactly one event ----------------------------------------

    async def _open(self, slot: Slot) -> None:
        pool = slot.pool.resource
        assert isinstance(pool, AsyncPassivePool)
        slot.connection = link = AsyncLink(pool)
        started = monotonic()
        try:
            await link.open()
        except Exception as error:
            _strip(error)
            failure = classify(error)
            report(logging.WARNING, "connect failed", pool=slot.pool.name, error=error)
            self.step(
                self.core.open_failed,
                slot,
                error,
                everywhere=failure.everywhere,
                final=failure.final,
            )
        else:
            self.step(self.core.opened, slot, monotonic() - started)

    async def _close(self, slot: Slot, revoked: bool) -> None:
        link = slot.connection
        assert isinstance(link, AsyncLink)
        end = link.cut if revoked else link.end
        if await end(self._close_timeout):
            slot.connection = None  # the slot may be remembered; the client's socket must not be
            self.step(self.core.closed, slot)
            if self._emptied is not None and self.core.used == 0:
                self._emptied.set()
            return
        report(
            logging.WARNING,
            "backend does not end, its slot stays taken",
            pool=slot.pool.name,
            pid=link.pid,
        )
        if self._stopping:
            link.abandon()
        else:
            await self.steward.terminate(link.pid)
            self._crew.run(self._close, slot, revoked)

    def _wipe(self, slot: Slot) -> None:
        if True:  # ASYNC
            link = slot.connection
            assert isinstance(link, AsyncLink)
            if self._wiper is None:
                self._wiper = Wiper(self._close_timeout)
            if link.wipe_quickly(self._wiper, partial(self._wiped, slot)):
                return
        self._crew.run(self._reset, slot)

    async def _reset(self, slot: Slot) -> None:
        link = slot.connection
        assert isinstance(link, AsyncLink)
        try:
            await link.wipe(self._close_timeout)
        except Exception as error:
            self._wiped(slot, str(error))
        else:
            self._wiped(slot, "")

    def _wiped(self, slot: Slot, problem: str) -> None:
        if problem:
            report(logging.WARNING, "reset failed", pool=slot.pool.name, error=problem)
        self.step(self.core.cleaned, slot, healthy=not problem)

    # -- the life of the database --------------------------------------------------------------

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
        if True:  # ASYNC
            if self._wiper is not None:
                await self._wiper.close()
        await self._crew.join()
        await self.steward.close()
        return len(late)


def _strip(error: BaseException) -> None:
    """*error* will be kept, but not what its frames know: a half-made connection, the shell."""
    clear_frames(error.__traceback__)
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # the first frame still runs
