"""A task that is cancelled, at whichever await, leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager.support import backends, make_settings, shared
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

pytestmark = on_latest


@asynccontextmanager
async def cancelled(job: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Start *job*, and cancel it at the end of the block."""
    task = asyncio.create_task(job)
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_waiter(postgres: EmbeddedPostgres, database: str):
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier={"cap": 1})
    async with AsyncManager(settings) as manager:
        async with manager.connection("a"), cancelled(manager.acquire("a")):
            await wait_until_async(lambda: manager.stats().tenants["a"].waiting == 1)
        stats = manager.stats()
        assert (stats.tenants["a"].waiting, stats.tenants["a"].in_use) == (0, 0)
        assert stats.databases["main"].idle == 1


async def test_a_holder_in_a_statement(postgres: EmbeddedPostgres, database: str):
    async def hold() -> None:
        async with manager.connection("a") as conn:
            await conn.execute("select pg_sleep(600)")

    async with AsyncManager(make_settings(postgres, {"a": {"dbname": database}})) as manager:
        async with cancelled(hold()):
            await wait_until_async(lambda: is_asleep(postgres, database))
        assert manager.stats().tenants["a"].in_use == 0
        assert not is_asleep(postgres, database)
        assert (await manager.execute("a", "select 1")).fetchone() == (1,)


def is_asleep(postgres: EmbeddedPostgres, database: str) -> bool:
    query = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = %s"
    return bool(postgres.execute(query, [database]))


async def test_every_await_on_the_way_to_a_lease(postgres: EmbeddedPostgres, database: str):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1, check_after=0)
    async with AsyncManager(settings) as manager:
        for ready in (False, True):  # a connect is on the way, and then a switch
            if ready:
                await manager.execute("a", "select 1")
            awaits = 0
            while not await is_lent(manager, "b", awaits):
                awaits += 1
                await wait_until_async(lambda: manager.stats().databases["main"].in_use == 0)
            assert awaits > 0
        assert len(backends(postgres, database)) == manager.stats().databases["main"].used == 1
        assert (await manager.execute("a", "show app.tenant")).fetchone() == ("a",)


async def is_lent(manager: AsyncManager, tenant: str, awaits: int) -> bool:
    """Whether *tenant* gets a connection when its request is cancelled after some *awaits*."""
    got: list[object] = []

    async def borrow() -> None:
        async with manager.connection(tenant, timeout=5):
            got.append(tenant)

    with suppress(asyncio.CancelledError):
        await CancelAfter(borrow(), awaits)
    return bool(got)


class CancelAfter:
    """Awaits a coroutine, and cancels what it waits for after it has waited some times."""

    def __init__(self, job: Coroutine[Any, Any, None], awaits: int) -> None:
        self._job = job
        self._left = awaits

    def __await__(self) -> Generator[Any, None, None]:
        steps = self._job.__await__()
        resume: Callable[[], Any] = partial(steps.send, None)
        with suppress(StopIteration):
            while True:
                awaited = resume()
                if not self._left and awaited is not None:
                    awaited.cancel()
                self._left -= 1
                try:
                    yield awaited
                except BaseException as error:
                    resume = partial(steps.throw, error)
                else:
                    resume = partial(steps.send, None)


async def test_a_drain_and_a_warmup(postgres: EmbeddedPostgres, database: str):
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier={"min_size": 4})
    async with AsyncManager(settings) as manager:
        conn = await manager.acquire("a")
        async with cancelled(manager.drain("a")):
            await wait_until_async(lambda: manager.stats().tenants["a"].draining)
        manager.resume("a")
        async with cancelled(manager.warmup()):
            await asyncio.sleep(0)
        await wait_until_async(lambda: manager.stats().tenants["a"].pool_size == 4)
        await manager.release(conn)
