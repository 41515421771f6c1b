"""Rule 1, where it is hardest to keep: a slot is free when its backend is gone, and not before.

The server has room for the capacity and no more, so it refuses whatever comes too early.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConnectFailed, Draining, LeaseEnded
from tests.manager._async.helpers import Background, OpenManager, wait_until
from tests.manager.support import make_settings
from tests.stress._async.use import hold, visit
from tests.stress.crowd import CAPACITY, WATCHERS, Operator, crowd, waiting
from tests.support.servers import on_latest

ROUNDS = 10

Ending = Callable[[AsyncManager, Operator, AsyncConnection[Any]], Awaitable[None]]


async def close_it(manager: AsyncManager, operator: Operator, conn: AsyncConnection[Any]) -> None:
    await conn.close()


async def kill_it(manager: AsyncManager, operator: Operator, conn: AsyncConnection[Any]) -> None:
    operator.ask("select pg_terminate_backend(%s)", conn.info.backend_pid)


async def revoke_it(manager: AsyncManager, operator: Operator, conn: AsyncConnection[Any]) -> None:
    [lease] = [lease for lease in manager.leases() if lease.tenant.name == "own_0"]
    manager.revoke(lease)


async def leave_it_busy(
    manager: AsyncManager, operator: Operator, conn: AsyncConnection[Any]
) -> None:
    conn.pgconn.send_query(b"select pg_sleep(60)")


async def drain_it(manager: AsyncManager, operator: Operator, conn: AsyncConnection[Any]) -> None:
    await manager.drain("own_0", timeout=0)
    manager.resume("own_0")


async def hand_it_on(manager: AsyncManager, operator: Operator, conn: AsyncConnection[Any]) -> None:
    """Give it back clean: the slot moves to the pool of the one who waits."""


ENDINGS: list[Ending] = [close_it, kill_it, revoke_it, leave_it_busy, drain_it, hand_it_on]


@pytest.fixture
async def manager(
    open_manager: OpenManager, full: EmbeddedPostgres, not_one_more: None
) -> AsyncManager:
    """A manager that has asked the server how many connections there are."""
    manager = await open_manager(crowd(full, capacity="auto", headroom=WATCHERS))
    assert manager.stats().databases["main"].capacity == CAPACITY
    return manager


@asynccontextmanager
async def one_slot_left(manager: AsyncManager) -> AsyncIterator[None]:
    """All but one are in use, by tenants that are in nobody's way."""
    async with AsyncExitStack() as stack:
        await hold(stack, manager, *[f"own_{1 + number % 3}" for number in range(CAPACITY - 1)])
        yield


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
async def test_a_slot_moves_on_when_the_backend_is_gone(
    manager: AsyncManager, operator: Operator, end: Ending
):
    async def borrow() -> None:
        async with manager.connection("own_0") as conn:
            await conn.execute("select 1")
            jobs.append(Background(visit, manager, "sharing_0"))
            await wait_until(lambda: waiting(manager.stats(), "sharing_0"))
            await end(manager, operator, conn)

    jobs: list[Background[None]] = []
    async with one_slot_left(manager):
        for _ in range(ROUNDS):
            with suppress(psycopg.Error, LeaseEnded):
                await borrow()
            await jobs.pop().result()
            manager.evict("sharing_0")


@pytest.mark.parametrize("tenant", ["ghost", "stranger"])
async def test_a_slot_moves_on_when_the_backend_of_a_failed_connect_is_gone(
    manager: AsyncManager, tenant: str
):
    async with one_slot_left(manager):
        for _ in range(ROUNDS):
            failing = Background(visit, manager, tenant)
            following = Background(visit, manager, "sharing_0")
            with pytest.raises(ConnectFailed):
                await failing.result()
            await following.result()
            manager.evict("sharing_0")


async def test_the_connection_that_asks_for_the_capacity_is_gone_before_the_first_connect(
    open_manager: OpenManager, full: EmbeddedPostgres, operator: Operator, not_one_more: None
):
    for _ in range(ROUNDS):
        manager = await open_manager(crowd(full, capacity="auto", headroom=WATCHERS))
        assert operator.backends() == 0
        await manager.close()


@on_latest
async def test_a_connect_that_timed_out_keeps_its_slot_until_its_backend_is_gone(
    open_manager: OpenManager, postgres: EmbeddedPostgres, database: str
):
    slow = postgres.dsn(options="-c post_auth_delay=60", connect_timeout=2)
    settings = make_settings(
        postgres, {"acme": {"dbname": database}}, conninfo=slow, capacity=1, close_timeout=0.1
    )
    manager = await open_manager(settings)
    core = manager._shells["main"].core

    waiter = Background(visit, manager, "acme")
    await wait_until(lambda: core.leaving, what="the end of the connect")

    assert (core.used, core.connecting) == (1, 0), "it would be one too many"
    starting = "from pg_stat_activity where state = 'starting'"
    assert postgres.execute(f"select count(*) {starting}") == [(1,)]
    await manager.close(grace=0)
    with pytest.raises(Draining):
        await waiter.result()
    assert postgres.execute(f"select pg_terminate_backend(pid, 5000) {starting}") == [(True,)]
