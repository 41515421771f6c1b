"""Three ways to serve 200 tenants with 50 connections: tenantpool, pools by hand, no pools."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol, Self

import psycopg
from psycopg_pool import AsyncConnectionPool

from tenantpool import AsyncManager

AUTOCOMMIT: dict[str, Any] = {"autocommit": True}


class Contender(Protocol):
    """Lends connections to tenants; an async context manager."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def query(self, tenant: str, statement: bytes) -> None:
        """Borrow a connection of the tenant's role, run *statement*, and give it back."""


class Tenantpool:
    """What is to be measured."""

    def __init__(self, manager: AsyncManager) -> None:
        self.manager = manager

    async def __aenter__(self) -> Self:
        await self.manager.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.manager.close()

    async def query(self, tenant: str, statement: bytes) -> None:
        async with self.manager.connection(tenant) as conn:
            await conn.execute(statement)


class PoolsByHand:
    """A dictionary of psycopg_pool pools whose sizes add up to the capacity.

    What somebody who knows the demand would write: the tenants whose expected share is a
    connection or more get a pool of that size for good. The others take turns in what is left:
    pools of one connection, of which the one that has not been used for longest, and is not in
    use, is closed when another tenant needs a pool.
    """

    def __init__(self, dsn: str, capacity: int, shares: dict[str, float]) -> None:
        self._dsn = dsn
        self._sizes = {t: int(share * capacity) for t, share in shares.items()}
        self._sizes = {tenant: size for tenant, size in self._sizes.items() if size}
        self._turns = capacity - sum(self._sizes.values())
        self._fixed: dict[str, AsyncConnectionPool] = {}
        self._pools: OrderedDict[str, AsyncConnectionPool] = OrderedDict()
        self._users: dict[str, int] = {}
        self._free = asyncio.Condition()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for tenant, size in self._sizes.items():
            self._fixed[tenant] = pool = self._make(tenant, size)
            await pool.open()
            self._stack.push_async_callback(pool.close)
        return self

    async def __aexit__(self, *error: object) -> None:
        for pool in self._pools.values():
            await pool.close()
        await self._stack.aclose()

    def _make(self, tenant: str, size: int) -> AsyncConnectionPool:
        workers = min(size, 3)
        return AsyncConnectionPool(
            f"{self._dsn} user={tenant}",
            min_size=size,
            max_size=size,
            num_workers=workers,
            kwargs=AUTOCOMMIT,
            open=False,
        )

    async def query(self, tenant: str, statement: bytes) -> None:
        async with self._pool(tenant) as pool, pool.connection() as conn:
            await conn.execute(statement)

    @asynccontextmanager
    async def _pool(self, tenant: str) -> AsyncIterator[AsyncConnectionPool]:
        if tenant in self._fixed:
            yield self._fixed[tenant]
            return
        pool = await self._take_turn(tenant)
        try:
            yield pool
        finally:
            self._users[tenant] -= 1
            async with self._free:
                self._free.notify()

    async def _take_turn(self, tenant: str) -> AsyncConnectionPool:
        """The tenant's pool, counted as in use; made if there is none."""
        async with self._free:
            while tenant not in self._pools:
                unused = next((name for name in self._pools if not self._users[name]), None)
                if len(self._pools) < self._turns:
                    break
                if unused is not None:
                    await self._pools.pop(unused).close()
                    break
                await self._free.wait()
            else:
                self._pools.move_to_end(tenant)
                self._users[tenant] += 1
                return self._pools[tenant]
            pool = self._pools[tenant] = self._make(tenant, 1)
            self._users[tenant] = 1
            await pool.open()
            return pool


class NoPools:
    """A connection for each request, as many at a time as the capacity allows."""

    def __init__(self, dsn: str, capacity: int) -> None:
        self._dsn = dsn
        self._slots = asyncio.Semaphore(capacity)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None

    async def query(self, tenant: str, statement: bytes) -> None:
        async with (
            self._slots,
            await psycopg.AsyncConnection.connect(self._dsn, user=tenant, autocommit=True) as conn,
        ):
            await conn.execute(statement)


def zipf(names: Sequence[str], exponent: float) -> dict[str, float]:
    """The share of the demand that each of *names* has: the n-th gets n to the -exponent."""
    weights = [(rank + 1) ** -exponent for rank in range(len(names))]
    total = sum(weights)
    return {name: weight / total for name, weight in zip(names, weights, strict=True)}
