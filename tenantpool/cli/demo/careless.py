"""What a worker must not do, done on purpose: so there is something to report."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress

from tenantpool.cli.demo.cast import LEAK_AFTER, LEAKER, REPEATER
from tenantpool.cli.demo.work import Lender
from tenantpool.errors import LeaseEnded
from tenantpool.insight import Options

REPEATS = 101

OPTIONS = Options(long_lease=LEAK_AFTER / 2)
"""What query insight looks for in this process."""

ONE_ORDER = "select tenant from orders where id = %s"


class Careless:
    """Borrows from *lender* as nobody should."""

    def __init__(self, lender: Lender) -> None:
        self._lender = lender
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def repeat(self) -> None:
        """Ask for many rows, one at a time, in one lease (N+1). Does not block."""
        self._begin(self._repeat())

    def forget(self) -> None:
        """Take a lease and do not give it back. Does not block."""
        self._begin(self._forget())

    async def end(self) -> None:
        """Give back what is still there. Raises what went wrong."""
        self._over.set()
        await asyncio.gather(*self._tasks)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _repeat(self) -> None:
        async with self._lender.connection(REPEATER) as conn:
            for number in range(REPEATS):
                await conn.execute(ONE_ORDER, [number])

    async def _forget(self) -> None:
        with suppress(LeaseEnded):  # somebody has taken it away
            async with self._lender.connection(LEAKER) as conn:
                await conn.execute(ONE_ORDER, [1])
                await self._over.wait()
