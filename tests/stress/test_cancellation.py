"""A task that is cancelled at any await: nothing is lost, and nothing goes on without it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from tenantpool import AsyncManager, Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import LeaseEnded, Refused
from tests.manager.support import make_settings, shared
from tests.stress._async.use import lease_every_slot, visit
from tests.stress.crowd import is_at_rest
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

pytestmark = on_latest

CAPACITY = 2
MOST_AWAITS = 60

Situation = Callable[[AsyncManager], Coroutine[Any, Any, None]]


class CancelledAt:
    """Awaits a coroutine, whose task is cancelled at its await number *first*, and again later.

    The second time is *then* awaits after the first; 0 is never.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None], first: int, then: int) -> None:
        self._coroutine = coroutine
        self._at = {first, first + then}
        self.awaits = 0

    def __await__(self) -> Generator[Any, Any, None]:
        resume: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                awaited = resume(value)
            except StopIteration:
                return
            if self.awaits in self._at:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            self.awaits += 1
            try:
                value = yield awaited
                resume = self._coroutine.send
            except BaseException as error:
                value, resume = error, self._coroutine.throw


async def cancelled_at(coroutine: Coroutine[Any, Any, None], first: int, then: int) -> bool:
    """Run it so; return whether it came to that await."""

    async def run() -> None:
        await cut

    cut = CancelledAt(coroutine, first, then)
    task = asyncio.ensure_future(run())
    await asyncio.wait([task])
    if not task.cancelled():
        error = task.exception()
        assert error is None or isinstance(error, psycopg.Error | Refused | LeaseEnded), error
    return cut.awaits > first


# -- situations ------------------------------------------------------------------------------------


async def idle_connection(manager: AsyncManager) -> None:
    await visit(manager, "a")
    await visit(manager, "a")


async def cold_open(manager: AsyncManager) -> None:
    manager.evict("a")
    await visit(manager, "a")


async def room_must_be_made(manager: AsyncManager) -> None:
    async with manager.connection("a"), manager.connection("a"):
        pass
    await visit(manager, "b")


async def somebody_else_has_it(manager: AsyncManager) -> None:
    async def hold() -> None:
        async with manager.connection("b"), manager.connection("b"):
            held.set()
            await asyncio.sleep(0.005)

    held = asyncio.Event()
    holder = asyncio.ensure_future(hold())
    await held.wait()
    try:
        await visit(manager, "a")
    finally:
        with suppress(asyncio.CancelledError):
            await asyncio.shield(holder)


async def switch_of_a_shared_connection(manager: AsyncManager) -> None:
    await visit(manager, "x")
    await visit(manager, "y")


async def stale_connection_is_broken(manager: AsyncManager) -> None:
    async with manager.connection("a") as conn:
        await conn.execute("set idle_session_timeout = 1")
        await conn.commit()
    await asyncio.sleep(0.01)
    await visit(manager, "a")


async def commit(manager: AsyncManager) -> None:
    async with manager.transaction("a") as conn:
        await conn.execute("create table if not exists t (id int)")
        await conn.execute("insert into t values (1)")


async def roll_back(manager: AsyncManager) -> None:
    with suppress(ZeroDivisionError):
        async with manager.connection("a") as conn:
            await conn.execute("select 1")
            raise ZeroDivisionError


async def statement_mode(manager: AsyncManager) -> None:
    await manager.execute("a", "select 1")


async def acquire_and_release(manager: AsyncManager) -> None:
    conn = await manager.acquire("x")
    try:
        await conn.execute("select 1")
    finally:
        await manager.release(conn)


SITUATIONS: list[Situation] = [
    idle_connection,
    cold_open,
    room_must_be_made,
    somebody_else_has_it,
    switch_of_a_shared_connection,
    stale_connection_is_broken,
    commit,
    roll_back,
    statement_mode,
    acquire_and_release,
]


@pytest.fixture
def settings(postgres: EmbeddedPostgres, databases: Callable[[int], list[str]]) -> Settings:
    """Two tenants with a database each and two that share one; every idle connection is tested."""
    a, b, common = databases(3)
    tenants = {"a": {"dbname": a}, "b": {"dbname": b}, **shared(common, "x", "y")}
    return make_settings(
        postgres, tenants, capacity=CAPACITY, check_after=0, min_connection_age=0, quantum_factor=0
    )


@pytest.mark.parametrize("then", [0, 1, 2], ids=["once", "twice", "again later"])
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
async def test_cancelled_at_any_await_nothing_is_lost(
    settings: Settings, situation: Situation, then: int
):
    async with AsyncManager(settings) as manager:
        core = manager._shells["main"].core
        for number in range(MOST_AWAITS):
            reached = await cancelled_at(situation(manager), number, then)
            await wait_until_async(lambda: is_at_rest(core), what=f"rest after await {number}")
            await lease_every_slot(manager, "a", "x")
            if not reached:
                break
        assert number, "it never awaited"
        assert not reached, "more awaits than expected"


@pytest.mark.parametrize("statement", ["", "select 1"], ids=["clean", "in a transaction"])
async def test_a_task_that_is_dropped_gives_its_connection_back(settings: Settings, statement: str):
    """Nothing will ever wake it and nobody knows it: it is not cancelled, but garbage."""

    async def wait_for_nothing() -> None:
        async with manager.connection("a") as conn:
            if statement:
                await conn.execute(statement.encode())
            entered.set()
            await asyncio.Future()

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    entered = asyncio.Event()
    async with AsyncManager(settings) as manager:
        core = manager._shells["main"].core
        task = asyncio.ensure_future(wait_for_nothing())
        await entered.wait()
        await asyncio.sleep(0)
        del task
        gc.collect()
        await wait_until_async(lambda: is_at_rest(core))
        await lease_every_slot(manager, "a", "b")
