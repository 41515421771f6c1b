"""The work of a process: tasks that borrow, query and return, and look at every row they see."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from psycopg import AsyncConnection

from tenantpool.cli.demo.cast import NOISY, QUIET_TASKS, TENANTS, Tenant
from tenantpool.errors import Reason, Refused

HOLD = 0.01
"""Seconds that the query of a lease takes, besides its real work."""

_LONGEST_PAUSE = 0.5
_SHORTEST_PAUSE = 0.02
_LONGEST_END = 20.0

PLACE = "insert into orders (tenant) values (%s)"
LOOK = "select array(select tenant from orders order by id desc limit 20), pg_sleep(%s)"


class Lender(Protocol):
    """A manager of this process, or a client of the service."""

    def connection(self, tenant: str, /) -> AbstractAsyncContextManager[AsyncConnection[Any]]:
        """Lend *tenant* a connection."""


class Work:
    """What the tasks of one process have done.

    *tasks* is how many there are, by tenant; *wrote* is told of every order once it is committed.
    """

    def __init__(
        self, lender: Lender, tasks: Mapping[str, int], wrote: Callable[[str], None]
    ) -> None:
        self.written: Counter[str] = Counter()
        """Orders committed, by tenant."""
        self.refusals: Counter[Reason] = Counter()
        self.wrong: list[str] = []
        """What must not happen, in the order in which it did."""
        self._lender = lender
        self._wrote = wrote
        self._over = asyncio.Event()
        self._calmed = asyncio.Event()
        self._tasks = [
            asyncio.create_task(self._work(tenant, number), name=f"worker of {tenant.name}")
            for tenant in TENANTS
            for number in range(tasks.get(tenant.name, 0))
        ]

    def calm(self) -> None:
        """Let most tasks of the noisy tenant end with what they have asked for. Does not block."""
        self._calmed.set()

    async def end(self) -> None:
        """Let each task finish the lease that it holds or waits for."""
        self._over.set()
        self._calmed.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=_LONGEST_END)
        for task in late:
            self._object(f"{task.get_name()} did not end")
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _work(self, tenant: Tenant, number: int) -> None:
        is_loud = tenant.name == NOISY and number >= QUIET_TASKS
        over = self._calmed if is_loud else self._over
        while not over.is_set():
            try:
                async with self._lender.connection(tenant.name) as conn:
                    seen = await self._use(conn, tenant)
            except Refused as error:
                self._note(tenant, error)
                await self._pause(error.retry_after or 0.0)
            except Exception as error:
                self._object(f"{tenant.name}: {type(error).__name__}: {error}")
                await self._pause(_LONGEST_PAUSE)
            else:
                self.written[tenant.name] += 1
                self._wrote(tenant.name)
                if foreign := seen - {tenant.name}:
                    self._object(f"{tenant.name} has seen rows of {', '.join(foreign)}")

    async def _use(self, conn: AsyncConnection[Any], tenant: Tenant) -> set[str]:
        """Write an order; return whose orders can be read."""
        await conn.execute(PLACE, [tenant.name])
        row = await (await conn.execute(LOOK, [HOLD])).fetchone()
        assert row is not None
        return set(row[0])

    async def _pause(self, seconds: float) -> None:
        """Wait as long as a refusal asks for, but not for long."""
        seconds = min(max(seconds, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            pass

    def _note(self, tenant: Tenant, error: Refused) -> None:
        self.refusals[error.reason] += 1
        if not _is_expected(tenant, error.reason):
            self._object(str(error))

    def _object(self, what: str) -> None:
        if what not in self.wrong:
            self.wrong.append(what)


def _is_expected(tenant: Tenant, reason: Reason) -> bool:
    """Only who has no database yet, or asks for far too much, is refused."""
    if tenant.is_missing:
        return reason in (Reason.CONNECT_FAILED, Reason.BREAKER_OPEN)
    return tenant.name == NOISY and reason is Reason.QUEUE_FULL
