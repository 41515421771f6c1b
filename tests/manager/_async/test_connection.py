"""``manager.connection(tenant)``: a transaction that ends with its block, and a loan that does."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from psycopg import AsyncConnection

from tenantpool import AsyncManager, LeaseEnded, TenantLimit
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import Background, raises, wait_until
from tests.manager.support import kill
from tests.support.servers import on_latest

pytestmark = on_latest


class Oops(Exception):
    """What a caller's code may raise."""


def in_use(manager: AsyncManager) -> int:
    return manager.stats().databases["main"].in_use


def is_waiting(manager: AsyncManager, count: int) -> bool:
    return manager.stats().tenants["a"].waiting == count


async def numbers(manager: AsyncManager) -> list[int]:
    """The table, seen from another transaction."""
    return [n for (n,) in await manager.execute("a", "select n from numbers order by 1")]


@pytest.fixture
async def table(manager: AsyncManager) -> None:
    await manager.execute("a", "create table numbers (n int unique deferrable initially deferred)")


@pytest.mark.usefixtures("table")
async def test_a_block_that_ends_well_commits(manager: AsyncManager):
    async with manager.connection("a") as conn:
        assert isinstance(conn, AsyncConnection)
        await conn.execute("insert into numbers values (1)")
        assert await numbers(manager) == []
        assert in_use(manager) == 1
    assert await numbers(manager) == [1]
    assert in_use(manager) == 0


@pytest.mark.usefixtures("table")
async def test_a_block_that_raises_rolls_back(manager: AsyncManager):
    async with raises(Oops), manager.connection("a") as conn:
        await conn.execute("insert into numbers values (1)")
        raise Oops
    assert await numbers(manager) == []
    assert in_use(manager) == 0


@pytest.mark.usefixtures("table")
async def test_a_commit_that_fails_raises_and_the_connection_comes_back(manager: AsyncManager):
    async with raises(psycopg.errors.UniqueViolation), manager.connection("a") as conn:
        await conn.execute("insert into numbers values (1), (1)")
    async with manager.connection("a") as again:
        assert again is conn
        assert conn.info.transaction_status.name == "IDLE"
    assert await numbers(manager) == []


@pytest.mark.usefixtures("table")
async def test_an_error_that_the_block_has_dealt_with_rolls_back(manager: AsyncManager):
    async with manager.connection("a") as conn:
        await conn.execute("insert into numbers values (1)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await conn.execute("select * from nowhere")
    assert await numbers(manager) == []


@pytest.mark.usefixtures("table")
async def test_transaction_blocks_inside_work_as_they_do_in_psycopg(manager: AsyncManager):
    async with manager.connection("a") as conn:
        async with conn.transaction():
            await conn.execute("insert into numbers values (1)")
        async with raises(Oops), conn.transaction():
            await conn.execute("insert into numbers values (2)")
            raise Oops
        async with manager.connection("a") as other:
            assert other is not conn
            await other.execute("insert into numbers values (3)")
    assert await numbers(manager) == [1, 3]


@pytest.mark.usefixtures("table")
async def test_transaction_mode_is_one_transaction(manager: AsyncManager):
    async with manager.transaction("a", timeout=5, priority=1) as conn:
        assert conn.info.transaction_status.name == "INTRANS"
        await conn.execute("insert into numbers values (1)")
        with pytest.raises(psycopg.ProgrammingError):
            await conn.commit()
    async with raises(Oops), manager.transaction("a") as conn:
        await conn.execute("insert into numbers values (2)")
        raise Oops
    assert await numbers(manager) == [1]
    assert in_use(manager) == 0


async def test_a_connection_closed_in_its_block_is_replaced(manager: AsyncManager):
    async with manager.connection("a") as conn:
        await conn.close()
    await wait_until(lambda: manager.stats().databases["main"].used == 0)
    async with manager.connection("a") as again:
        assert again is not conn
        assert not again.closed


async def test_a_connection_that_dies_in_its_block_is_replaced(
    manager: AsyncManager, postgres: EmbeddedPostgres
):
    async with raises(psycopg.OperationalError), manager.connection("a") as conn:
        kill(postgres, conn.info.backend_pid)
        await conn.execute("select 1")
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)
    assert manager.stats().tenants["a"].lost == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_a_statement_that_still_runs_is_cancelled(
    fails: bool, manager: AsyncManager, postgres: EmbeddedPostgres
):
    async with raises(Oops if fails else psycopg.OperationalError), manager.connection("a") as conn:
        conn.pgconn.send_query(b"select pg_sleep(600)")
        if fails:
            raise Oops
    await wait_until(lambda: conn.closed and manager.stats().databases["main"].used == 0)
    assert postgres.execute("select 1 from pg_stat_activity where query ~ '[6]00'") == []


async def test_a_lease_is_used_once(manager: AsyncManager):
    lease = manager.connection("a")
    async with lease, raises(LeaseEnded, match="used once"):
        await lease.__aenter__()
    with pytest.raises(LeaseEnded, match="used once"):
        await lease.__aenter__()
    with pytest.raises(LeaseEnded):
        await lease.end(failed=False)
    assert in_use(manager) == 0
    assert manager.stats().tenants["a"].leases == 1


async def test_a_waiter_gets_the_connection_that_comes_back(manager: AsyncManager):
    first, second = await manager.acquire("a"), await manager.acquire("a")
    waiter = Background(manager.acquire, "a", timeout=20)
    await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)

    await manager.release(first)

    third = await waiter.result()
    assert third is first
    await manager.release(second)
    await manager.release(third)


async def test_the_more_urgent_request_goes_first(manager: AsyncManager):
    served: list[int] = []

    async def ask(priority: int) -> None:
        async with manager.connection("a", priority=priority):
            served.append(priority)

    held = [await manager.acquire("a"), await manager.acquire("a")]
    jobs = []
    for number, priority in enumerate([0, 2, 1], 1):
        jobs.append(Background(ask, priority))
        await wait_until(partial(is_waiting, manager, number))
    await manager.release(held[0])
    for job in jobs:
        await job.result()
    await manager.release(held[1])
    assert served == [2, 1, 0]


async def test_a_refusal_does_not_keep_the_frame_that_asked(manager: AsyncManager):
    seen: list[weakref.ref[Oops]] = []

    async def ask() -> None:
        local = Oops()
        seen.append(weakref.ref(local))
        async with manager.connection("a", timeout=0):
            pass

    async with manager.connection("a"), manager.connection("a"):
        gc.disable()
        try:
            with suppress(TenantLimit):
                await ask()
            assert seen[0]() is None
        finally:
            gc.enable()
