"""Guests: workers that use a manager as applications do, well and badly."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import psycopg

from tenantpool import AsyncManager
from tenantpool.embedded.server import StopMode
from tenantpool.errors import LeaseEnded, Refused
from tests.stress.crowd import Operator
from tests.support.dice import Dice
from tests.support.wait import TIMEOUT

LONGEST_VISIT = 0.02
"""Seconds; a visit that is cancelled is so before."""


class Oops(Exception):
    """What an application raises."""


class AsyncGuest:
    """Visits one tenant after the other. ``endings`` counts how its visits ended."""

    def __init__(self, manager: AsyncManager, dice: Dice) -> None:
        self.endings: Counter[str] = Counter()
        self._manager = manager
        self._dice = dice
        self._tenants = sorted(manager.settings.tenants)

    async def stay(self, host: AsyncHost) -> None:
        """Visit until *host* has left, and then until a visit goes well."""
        while not host.has_left:
            await self._visit()
        end = monotonic() + TIMEOUT
        while await self._visit() != "done":
            assert monotonic() < end, f"not served again in {TIMEOUT:g} s: {self.endings}"

    async def _visit(self) -> str:
        ending = await self._try()
        self.endings[ending] += 1
        return ending

    async def _try(self) -> str:
        do = self._dice.choice(_HABITS)
        error: BaseException | None = None
        if True:  # ASYNC
            visit = asyncio.ensure_future(do(self, **self._wish()))
            if self._dice.chance(0.3):
                delay = self._dice.choice([0.0, LONGEST_VISIT * self._dice.random()])
                asyncio.get_running_loop().call_later(delay, visit.cancel)
            await asyncio.wait([visit])
            if visit.cancelled():
                return "cancelled"
            error = visit.exception()
        else:
            try:
                do(self, **self._wish())
            except Exception as raised:
                error = raised
        if error is None:
            return "done"
        if not isinstance(error, (Refused, LeaseEnded, Oops, psycopg.Error)):
            raise error
        await asyncio.sleep(0.005)  # who is refused at once comes back later
        return type(error).__name__

    def _wish(self) -> dict[str, Any]:
        dice = self._dice
        return {
            "tenant": dice.choice(self._tenants),
            "timeout": dice.choice([None, 0, 0.001, 0.02, 0.5]),
            "priority": dice.choice([0, 0, 0, 1, -1]),
        }

    # -- habits --------------------------------------------------------------------------------

    async def _run(self, statement: str, **wish: Any) -> None:
        async with self._manager.connection(**wish) as conn:
            await conn.execute(statement.encode())

    async def look(self, **wish: Any) -> None:
        await self._run("select 1", **wish)

    async def linger(self, **wish: Any) -> None:
        await self._run("select pg_sleep(0.01)", **wish)

    async def do_nothing(self, **wish: Any) -> None:
        async with self._manager.connection(**wish):
            pass

    async def make_a_mistake(self, **wish: Any) -> None:
        await self._run("select 1 / 0", **wish)

    async def run_out_of_time(self, **wish: Any) -> None:
        await self._run("set local statement_timeout = 5; select pg_sleep(5)", **wish)

    async def die(self, **wish: Any) -> None:
        await self._run("select pg_terminate_backend(pg_backend_pid())", **wish)

    async def raise_in_a_transaction(self, **wish: Any) -> None:
        async with self._manager.transaction(**wish) as conn:
            await conn.execute("create temporary table scratch (id int)")
            raise Oops

    async def close_it(self, **wish: Any) -> None:
        async with self._manager.connection(**wish) as conn:
            await conn.close()

    async def leave_a_transaction_open(self, **wish: Any) -> None:
        conn = await self._manager.acquire(**wish)
        try:
            await conn.execute("select 1")
        finally:
            await self._manager.release(conn)

    async def leave_a_statement_running(self, **wish: Any) -> None:
        async with self._manager.connection(**wish) as conn:
            conn.pgconn.send_query(b"select pg_sleep(0.05)")

    async def ask_for_one_row(self, tenant: str, timeout: float | None, priority: int) -> None:
        result = await self._manager.execute(tenant, "select 1", timeout=timeout)
        assert result.fetchone() == (1,)

    async def be_greedy(self, **wish: Any) -> None:
        async with self._manager.connection(**wish) as conn:
            await conn.execute("select 1")
            await self.look(**wish | {"timeout": 0.01})


_HABITS: list[Callable[..., Awaitable[None]]] = [
    *[AsyncGuest.look, AsyncGuest.linger, AsyncGuest.do_nothing] * 4,
    AsyncGuest.make_a_mistake,
    AsyncGuest.run_out_of_time,
    AsyncGuest.die,
    AsyncGuest.raise_in_a_transaction,
    AsyncGuest.close_it,
    AsyncGuest.leave_a_transaction_open,
    AsyncGuest.leave_a_statement_running,
    AsyncGuest.ask_for_one_row,
    AsyncGuest.be_greedy,
]


class AsyncHost:
    """Does all an operator can do, at random. ``has_left`` tells when it has done enough."""

    def __init__(self, manager: AsyncManager, operator: Operator, dice: Dice) -> None:
        self._manager = manager
        self._operator = operator
        self._dice = dice
        self._tenants = sorted(manager.settings.tenants)
        self.has_left = False

    async def meddle(self, seconds: float, *, restarts: Sequence[StopMode] = ()) -> None:
        """Disturb the guests, and restart the server in each of the ways of *restarts*.

        That takes *seconds*, or for as long as the restarts take.
        """
        start = monotonic()
        pending = list(restarts)
        try:
            while (passed := monotonic() - start) < seconds or pending:
                await asyncio.sleep(0.01)
                if pending and passed > seconds * 0.6 / len(pending):
                    await self._restart(pending.pop())
                with suppress(psycopg.OperationalError):
                    await self._disturb()
        finally:
            self.has_left = True

    async def _restart(self, how: StopMode) -> None:
        if True:  # ASYNC
            await asyncio.to_thread(self._operator.restart, how)
        else:
            self._operator.restart(how)

    async def _disturb(self) -> None:
        manager, dice = self._manager, self._dice
        tenant = dice.choice(self._tenants)
        match dice.randrange(8):
            case 0:
                manager.evict(tenant)
            case 1:
                await manager.drain(tenant, timeout=0.01)
                await asyncio.sleep(0.01)
                manager.resume(tenant)
            case 2:
                if leases := manager.leases():
                    manager.revoke(dice.choice(leases))
            case 3:
                self._operator.kill_one(dice)
            case 4:
                await self._shrink()
            case 5:
                await manager.warmup([tenant], timeout=0.01)
            case 6:
                manager.reset_breaker(tenant)
            case 7:
                manager.health()

    async def _shrink(self) -> None:
        """Take some of the capacity away for a moment."""
        shell = self._manager._shells["main"]
        capacity = shell.core.limits.capacity
        shell.step(shell.core.set_capacity, self._dice.randrange(1, capacity))
        await asyncio.sleep(0.02)
        shell.step(shell.core.set_capacity, capacity)
