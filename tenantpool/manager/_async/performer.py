"""Steps the core of one database, and performs what it asks for."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from traceback import clear_frames
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Protocol

import psycopg

from tenantpool.concurrency import AsyncCrew, AsyncLock, AsyncSignal
from tenantpool.core import actions as act
from tenantpool.core.database import Database
from tenantpool.core.pool import Pool
from tenantpool.core.request import Request
from tenantpool.core.slot import IDLE, Slot
from tenantpool.core.tenant import Tenant
from tenantpool.journal import report
from tenantpool.manager.capacity import QUERY
from tenantpool.pools._async.answer import ask
from tenantpool.pools._async.link import AsyncLink
from tenantpool.pools._async.pool import AsyncPassivePool
from tenantpool.pools.failures import classify
from tenantpool.pools.hangups import hung_up
from tenantpool.pools.quick_wipe import Wiper

from .steward import AsyncSteward

if TYPE_CHECKING:
    from .shell import AsyncShell

P = ParamSpec("P")


class Seating(Protocol):
    """Those who know where each tenant is served."""

    def seat(self, name: str) -> tuple[AsyncShell, Tenant]:
        """Where the tenant is served now. Does not block. Raises UnknownTenant."""

    def forget(self, tenant: Tenant) -> None:
        """Nobody has asked for it for long."""

    def came_home(self, tenant: Tenant) -> None:
        """A lease has ended that *tenant*, which is served elsewhere now, still had here."""


class AsyncPerformer:
    """The hands of a core: whatever it asks for begins here, and comes back to it as an event.

    ``lock`` is held around each step of the core, and for nothing else: no I/O and no code of a
    caller runs under it. Background jobs report their outcome as the next event.
    """

    def __init__(
        self,
        core: Database,
        steward: AsyncSteward,
        *,
        alarm: Callable[[float], None],
        seating: Seating,
        close_timeout: float,
    ) -> None:
        self.name = core.name
        self.core = core
        self.steward = steward
        self.lock = AsyncLock()
        self._alarm = alarm
        self._seating = seating
        self._close_timeout = close_timeout
        self._crew = AsyncCrew(2 * core.limits.connect_concurrency, f"tenantpool-{core.name}")
        self.dropped: deque[tuple[Request, bool]] = deque()
        """Leases to be taken back, and whether their connections are of use; see ``drop``."""
        self._emptied: AsyncSignal | None = None
        self._warmed: dict[Pool, list[AsyncSignal]] = {}
        if True:  # ASYNC
            self._wiper: Wiper | None = None
        self._stopping = False
        self._has_doubts = False
        """Whether the server may have restarted, so that an ``auto`` capacity is asked for anew."""
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
        if self.dropped:
            self.take_dropped()

    def drop(self, lease: Request, *, healthy: bool) -> None:
        """The holder was thrown away: take *lease* back, now or after the step that is made.

        The garbage collector may throw it away in the midst of a step, on the thread that makes
        it, and so nobody may wait here for the step to end. Does not block.
        """
        self.dropped.append((lease, healthy))
        self.take_dropped()

    def take_dropped(self) -> None:
        """Take back what was dropped, unless a step is made: who makes it does so then."""
        while self.dropped and self.lock.acquire(blocking=False):
            actions: act.Actions = ()
            try:
                if self.dropped:
                    lease, healthy = self.dropped.popleft()
                    actions = self.core.release(monotonic(), lease, healthy=healthy)
            finally:
                self.lock.release()
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
                case act.Recall(request, deadline, why):
                    request.recall(deadline, why)
                case act.Unpark(request):
                    request.unpark()
                case act.Forgotten(tenant):
                    self._seating.forget(tenant)
                case act.Elsewhere(request):
                    request.elsewhere()
                case act.Departed(tenant):
                    self._seating.came_home(tenant)
                case act.Notice(event, fields):
                    report(logging.WARNING, event, database=self.name, **fields)

    def _wake_warmed(self, pool: Pool) -> None:
        for signal in self._warmed.pop(pool, ()):
            signal.set()

    def drop_lost(self) -> None:
        """Close idle connections that the server has closed, as when it restarts. Does not block.

        Else each would keep its slot until somebody is lent it. Takes 1 µs for each.
        """
        with self.lock:
            idle = {
                slot.connection.descriptor: slot
                for slot in self.core.slots
                if slot.state == IDLE and isinstance(slot.connection, AsyncLink)
            }
        lost = [idle[descriptor] for descriptor in hung_up(idle)]
        if lost:
            self._has_doubts = True
            report(
                logging.WARNING, "idle connections lost", database=self.name, connections=len(lost)
            )
        for slot in lost:
            self.step(self.core.lost, slot)

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
            self._has_doubts |= failure.everywhere
            report(logging.WARNING, "connect failed", pool=slot.pool.name, error=error)
            self.step(
                self.core.open_failed,
                slot,
                error,
                everywhere=failure.everywhere,
                final=failure.final,
            )
        else:
            seconds = monotonic() - started
            self.steward.opened(link.pid, seconds)
            if self._has_doubts and self.steward.asks:
                await self._look_again(link)
            self.step(self.core.opened, slot, seconds)

    async def _look_again(self, link: AsyncLink) -> None:
        """The server may have come back with other limits: ask it, over the first connection."""
        self._has_doubts = False
        try:
            [(limit,)] = await ask(link.conn.pgconn, monotonic() + self._close_timeout, QUERY)
        except (psycopg.Error, OSError) as error:
            report(logging.WARNING, "capacity unknown", database=self.name, error=error)
        else:
            self.step(self.core.set_capacity, self.steward.resize(limit))

    async def _close(self, slot: Slot, revoked: bool) -> None:
        link = slot.connection
        assert isinstance(link, AsyncLink)
        self._has_doubts |= bool(link.pid) and not link.is_alive
        end = link.cut if revoked else link.end
        if await end(self._close_timeout):
            self.steward.closed(link.pid)
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
            self._has_doubts = True
            report(logging.WARNING, "reset failed", pool=slot.pool.name, error=problem)
        self.step(self.core.cleaned, slot, healthy=not problem)


def _strip(error: BaseException) -> None:
    """*error* will be kept, but not what its frames know: a half-made connection, the shell."""
    clear_frames(error.__traceback__)
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next  # the first frame still runs
