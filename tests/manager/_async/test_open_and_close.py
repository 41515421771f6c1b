"""The life of a manager: what it finds out when it opens, and what is left when it has closed."""

from __future__ import annotations

import socket
from time import monotonic

import psycopg
import pytest

from tenantpool import (
    AsyncManager,
    BreakerOpen,
    ConfigError,
    Draining,
    LeaseEnded,
    ManagerClosed,
    Refused,
)
from tenantpool.embedded import HOST, EmbeddedPostgres
from tests.manager._async.helpers import (
    Background,
    OpenManager,
    on_all_versions,
    raises,
    wait_until,
)
from tests.manager.support import backends, make_settings
from tests.support.servers import on_latest


@on_latest
async def test_close_waits_for_the_leases(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str
):
    conn = await manager.acquire("a")
    closing = Background(manager.close, 60)
    await wait_until(lambda: not manager.is_open)
    await conn.execute("select 1")
    await manager.release(conn)

    assert await closing.result() == 0
    assert backends(postgres, database) == []
    assert manager.stats().databases["main"].used == 0


@on_latest
async def test_close_revokes_what_does_not_come_back(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str
):
    first, second = await manager.acquire("a"), await manager.acquire("a")

    assert await manager.close(grace=0.01) == 2

    assert backends(postgres, database) == []
    with pytest.raises(psycopg.OperationalError):
        await first.execute("select 1")
    for conn in (first, second):
        await manager.release(conn)
        assert conn.closed


@on_latest
async def test_a_block_that_outlives_its_manager_is_told(manager: AsyncManager):
    async with raises(LeaseEnded, match="revoked"), manager.connection("a"):
        assert await manager.close(0) == 1


@on_latest
async def test_close_takes_the_grace_of_the_settings(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    sections = {"close_grace": 0.1}
    settings = make_settings(postgres, {"a": {"dbname": database}}, sections=sections)
    manager = await open_manager(settings)
    conn = await manager.acquire("a")
    started = monotonic()
    assert await manager.close() == 1
    assert monotonic() - started >= 0.1
    await manager.release(conn)


@on_latest
async def test_close_refuses_those_who_wait(manager: AsyncManager):
    held = [await manager.acquire("a"), await manager.acquire("a")]
    late = manager.connection("a")
    waiter = Background(manager.acquire, "a")
    await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)

    assert await manager.close(0) == 2

    with pytest.raises(Draining, match="the manager is closing"):
        await waiter.result()
    async with raises(Draining, match="the manager is closing"), late:
        pass
    for conn in held:
        await manager.release(conn)


@on_latest
async def test_close_does_not_wait_for_what_never_came(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """A connect that fails while the manager closes ends the waiting too."""
    with socket.create_server((HOST, 0)) as listener:
        dsn = postgres.dsn(host=HOST, port=listener.getsockname()[1])
        settings = make_settings(postgres, {"a": {"dbname": database}}, conninfo=dsn)
        manager = await open_manager(settings)
        with pytest.raises(Refused):
            await manager.acquire("a", timeout=0)
        assert manager.stats().databases["main"].opening == 1
        closing = Background(manager.close, 600)
        await wait_until(lambda: not manager.is_open)
    assert await closing.result() == 0


@on_latest
async def test_a_closed_manager_says_so(manager: AsyncManager):
    await manager.close()
    assert await manager.close() == 0
    with pytest.raises(ManagerClosed, match="the manager is closed"):
        manager.connection("a")
    for use in (manager.acquire, manager.warmup, manager.drain):
        with pytest.raises(ManagerClosed):
            await use("a")
    with pytest.raises(ManagerClosed):
        await manager.execute("a", "select 1")
    async with raises(ManagerClosed), manager.transaction("a"):
        pass
    for name in ("pool", "resume", "evict", "reset_breaker"):
        with pytest.raises(ManagerClosed):
            getattr(manager, name)("a")
    with pytest.raises(ManagerClosed, match="closed and can't be opened"):
        await manager.open()
    assert manager.leases() == []
    assert not manager.is_open


@on_latest
async def test_a_manager_that_is_not_open_says_so(postgres: EmbeddedPostgres):
    manager = AsyncManager(make_settings(postgres, {"a": {"dbname": "postgres"}}))
    with pytest.raises(ManagerClosed, match="not open yet"):
        manager.connection("a")
    assert manager.stats().databases == {}
    assert manager.leases() == []
    assert await manager.close() == 0
    async with manager:
        assert (await manager.execute("a", "select 1")).fetchone() == (1,)
        with pytest.raises(ManagerClosed, match="open and can't be opened"):
            await manager.open()


@on_all_versions
async def test_the_capacity_can_be_read_from_the_server(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    [(free,)] = postgres.execute(
        "select current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
        " - current_setting('reserved_connections')::int"
    )
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity="auto", headroom=7)
    manager = await open_manager(settings)
    assert manager.stats().databases["main"].capacity == free - 7
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


@on_latest
async def test_a_server_that_is_all_headroom_leaves_one_connection(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, {}, capacity="auto", headroom=1000))
    assert manager.stats().databases["main"].capacity == 1


@on_latest
async def test_a_database_that_is_down_is_no_error_and_comes_back(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    breaker = {"backoff": 600, "backoff_max": 600}
    settings = make_settings(
        postgres, {"a": {"dbname": database}}, capacity="auto", breaker=breaker
    )
    postgres.stop()
    try:
        manager = await open_manager(settings)
        with pytest.raises(BreakerOpen) as refusal:
            await manager.acquire("a")
        assert isinstance(refusal.value.__cause__, psycopg.OperationalError)
        assert manager.stats().databases["main"].capacity == 0
    finally:
        postgres.start()
    await wait_until(lambda: manager.stats().databases["main"].capacity > 1)
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


@on_latest
async def test_guarantees_above_the_capacity_found_out_are_an_error_that_leaves_nothing(
    postgres: EmbeddedPostgres, database: str
):
    settings = make_settings(
        postgres,
        {name: {"dbname": database} for name in ("a", "b")},
        tier={"guarantee": 8},
        capacity="auto",
        headroom=90,
    )
    manager = AsyncManager(settings)
    with pytest.raises(ConfigError, match="guarantee"):
        await manager.open()
    assert not manager.is_open
    assert backends(postgres, "postgres") == []
    with pytest.raises(ManagerClosed):
        manager.connection("a")


@on_latest
async def test_a_manager_closes_when_its_block_raises(postgres: EmbeddedPostgres, database: str):
    class Oops(Exception):
        pass

    async with (
        raises(Oops),
        AsyncManager(make_settings(postgres, {"a": {"dbname": database}})) as manager,
    ):
        await manager.execute("a", "select 1")
        raise Oops
    assert backends(postgres, database) == []
