"""A lease: a tenant's right to use one connection, from the request for it to its return."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from time import monotonic
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import AsyncConnection

from tenantpool import tracing
from tenantpool.concurrency import AsyncSignal
from tenantpool.core.actions import Actions
from tenantpool.core.database import Database
from tenantpool.core.request import GRANTED, NEW, REFUSED, REVOKED, WAITING, Request
from tenantpool.core.tenant import Tenant
from tenantpool.errors import ConnectFailed, LeaseEnded, Refused
from tenantpool.journal import report
from tenantpool.pools._async.link import AsyncLink

if TYPE_CHECKING:
    from .shell import AsyncShell


_OWN = ("tenantpool.manager.", "contextlib")
"""Modules whose frames are not the holder's."""
_REVOKED = "it was revoked"


class AsyncLease(Request):
    """``async with manager.connection(tenant) as conn``: commit on success, roll back on error.

    A block that ends well commits, one that raises rolls back, and the connection goes back
    either way. Entering waits for up to *timeout* seconds (None: the tier's ``acquire_timeout``;
    0: not at all) and raises a ``Refused``. A lease is used once.
    """

    __slots__ = ("_at", "_code", "_signal", "_timeout", "link", "shell", "span", "wanted_by")

    def __init__(
        self, shell: AsyncShell, tenant: Tenant, timeout: float | None, priority: int
    ) -> None:
        Request.__init__(self, tenant, priority)  # super() would take as long as all of it
        self.shell = shell
        self._timeout = tenant.limits.acquire_timeout if timeout is None else timeout
        self._signal: AsyncSignal | None = None
        self.link: AsyncLink | None = None
        self.wanted_by: float | None = None
        """When it has to be back (of ``monotonic``), as a limit has been lowered."""
        self.span: tracing.LeaseSpan | None = None
        self._note_caller()

    def _note_caller(self) -> None:
        """Remember where in the code this lease is made."""
        caller = sys._getframe(3)
        while caller.f_globals.get("__name__", "").startswith(_OWN) and caller.f_back is not None:
            caller = caller.f_back
        self._code: CodeType = caller.f_code
        self._at = caller.f_lasti

    @property
    def holder(self) -> str:
        """Where in the code the lease was asked for: ``file:line in function``."""
        line = next((n for start, end, n in self._code.co_lines() if start <= self._at < end), None)
        return f"{self._code.co_filename}:{line} in {self._code.co_qualname}"

    @property
    def held(self) -> float:
        """Seconds since it was granted; 0.0 when it is not in use."""
        return monotonic() - self.granted_at if self.state == GRANTED else 0.0

    async def __aenter__(self) -> AsyncConnection[Any]:
        if tracing.on is not None:
            return await self._enter_traced(tracing.on)
        if self.ask():
            assert self.link is not None
            return self.link.conn
        return await self.settle()

    async def _enter_traced(self, on: tracing.Tracing) -> AsyncConnection[Any]:
        span = on.lease(self.tenant, self.shell.name)
        with span.asking():
            if not self.ask():
                await self.settle()
        assert self.link is not None
        span.granted(self.granted_at - self.since)
        self.span = span
        if self.state == REVOKED:
            span.cut(_REVOKED)
        return self.link.conn

    def ask(self) -> bool:
        """Ask the core; return whether a connection was granted that is fit to be used as it is.

        Does not block. If it returns False, ``settle`` does the rest.
        """
        if self.state != NEW:
            raise LeaseEnded(f"{self.tenant.name}: a lease is used once, ask for another")
        shell = self.shell
        with shell.lock:
            now = monotonic()
            actions = shell.core.request(now, self)
            if self.state == WAITING:
                self._signal = AsyncSignal()
        if actions:
            shell.perform(actions)
        if shell.dropped:
            shell.take_dropped()
        return self.state == GRANTED and self._take(now)

    def elsewhere(self) -> None:
        """The tenant has left for another database: ask there. Does not block."""
        try:
            self.shell, self.tenant = self.shell.seat(self.tenant.name)
        except Refused as error:
            self.error, self.state = error, REFUSED
            self.answer()
        else:
            self.ask()

    async def settle(self) -> AsyncConnection[Any]:
        """Wait for the answer, and make the connection fit to be used. Raises a ``Refused``."""
        if self.state != GRANTED:
            await self._wait()
            if self._take(self.since):
                assert self.link is not None
                return self.link.conn
        return await self._prepare()

    def _take(self, now: float) -> bool:
        """Take the connection if it needs no preparation; return whether it needed none."""
        slot, tenant = self.slot, self.tenant
        if slot is None or now - slot.free_since > self.shell.check_after:
            return False
        if slot.tenant is not tenant:
            if slot.tenant is not None or tenant.session:
                return False
            slot.tenant = tenant  # a blank session, and it needs no other
        link = slot.connection
        if not isinstance(link, AsyncLink):  # revoked, and gone already
            return False
        self.link = link
        return True

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.span is not None:
            self.span.leave(error)
        await self.end(failed=kind is not None, dropped=kind is GeneratorExit)

    async def end(self, *, failed: bool, dropped: bool = False) -> None:
        """Give the connection back: commit what is open on it, or roll back if *failed*.

        A task that is thrown away can't wait for anything: what is open on the connection of one
        that was *dropped* ends with the connection.

        Raises what the commit raises, and LeaseEnded if the lease was revoked meanwhile (unless
        *failed*: then an error is on its way already).
        """
        link, shell = self.link, self.shell
        if link is None:
            raise LeaseEnded(f"{self.tenant.name}: the lease was not entered, or ended already")
        self.link = None
        is_ready = self.state != REVOKED and link.is_clean
        try:
            if not (is_ready or dropped):
                await self._finish(link, failed)
        finally:
            link.conn._pool = link.pool
            healthy = is_ready or link.is_clean
            if dropped:
                shell.drop(self, healthy=healthy)
            else:
                self._give_back(healthy)
            if self.span is not None:
                self.span.end()
            if self.state == REVOKED and not dropped and link.is_alive:  # as it ended
                await link.pool._close_connection(link.conn)

    def _give_back(self, healthy: bool) -> None:
        shell = self.shell
        with shell.lock:
            actions = shell.core.release(monotonic(), self, healthy=healthy)
        if actions:
            shell.perform(actions)
        if shell.dropped:
            shell.take_dropped()

    def recall(self, deadline: float, why: str) -> None:
        """The core wants the connection back until *deadline* (of ``monotonic``). Does not block.

        A holder in this process can look at ``wanted_by``, and is told in the log.
        """
        self.wanted_by = deadline
        report(
            logging.WARNING,
            "lease wanted back",
            tenant=self.tenant.name,
            holder=self.holder,
            within=deadline - monotonic(),
            why=why,
        )

    def answer(self) -> None:
        """The core has answered: wake whoever waits. Does not block."""
        if self._signal is not None:
            self._signal.set()
        if self.span is not None and self.state == REVOKED:
            self.span.cut(_REVOKED)

    async def _finish(self, link: AsyncLink, failed: bool) -> None:
        """End what the holder began on the connection."""
        if self.state != REVOKED:
            await link.finish(failed=failed)
            return
        await link.pool._close_connection(link.conn)
        if not failed:
            raise LeaseEnded(f"{self.tenant.name}: the lease taken at {self.holder} was revoked")

    async def _wait(self) -> None:
        """Wait for the answer; raises the refusal, at the latest when the time is over."""
        if self._signal is not None and self.state == WAITING:
            try:
                await self._signal.wait(self.since + self._timeout - monotonic())
            except BaseException:
                self._tell(Database.cancel)
                raise
            self._tell(Database.expire)
        if self.error is not None:
            error, self.error = self.error, None
            try:
                raise error
            finally:
                del error  # a traceback that leads to itself would keep the caller's frame alive

    def _tell(self, event: Callable[[Database, float, Request], Actions]) -> None:
        """Step the core that has the request: while it waits, that may become another one."""
        while True:
            shell = self.shell
            with shell.lock:
                if shell is self.shell:
                    actions = event(shell.core, monotonic(), self)
                    break
        shell.perform(actions)

    async def _prepare(self) -> AsyncConnection[Any]:
        """Make the connection fit to be used: tested, and carrying this tenant's session."""
        while True:
            try:
                link = await self._try_prepare()
            except (psycopg.Error, OSError, UnicodeError) as error:
                await self._replace(error)
            except BaseException:
                shell = self.shell
                shell.step(shell.core.release, self, healthy=False)
                raise
            else:
                self.link = link
                return link.conn

    async def _try_prepare(self) -> AsyncLink:
        slot = self.slot
        if slot is None or not isinstance(link := slot.connection, AsyncLink):
            raise LeaseEnded(f"{self.tenant.name}: the lease was revoked before it began")
        tested = False
        if slot.tenant is not self.tenant:
            # Its own from now on, so that it is known if the session is to be another meanwhile.
            undo, slot.tenant = slot.tenant is not None, self.tenant
            tested = await link.switch(str(self.tenant.session), undo=undo)
        if not tested and monotonic() - slot.free_since > self.shell.check_after:
            await link.check()
        return link

    async def _replace(self, error: Exception) -> None:
        """The connection failed before its first use: get another, if the fault was its own."""
        shell, slot = self.shell, self.slot
        link = slot.connection if slot is not None else None
        if isinstance(link, AsyncLink) and link.is_alive:
            shell.step(shell.core.release, self, healthy=False)
            raise ConnectFailed(
                self.tenant.name,
                "the session of the tenant could not be set up",
                database=shell.name,
                cause=error,
            )
        with shell.lock:
            self._signal = AsyncSignal()
            actions = shell.core.replace(monotonic(), self)
        shell.perform(actions)
        await self._wait()
