"""A connection that died while it lay idle is never lent."""

from __future__ import annotations

import pytest

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, pid_of, wait_until
from tests.manager.support import StatementLog, backends, kill, make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest


async def fill(manager: AsyncManager, tenant: str, count: int) -> None:
    """Let *tenant* have *count* idle connections, each used once."""
    for conn in [await manager.acquire(tenant) for _ in range(count)]:
        await manager.release(conn)


async def test_a_connection_that_was_killed_is_replaced_unnoticed(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, check_after=0)
    manager = await open_manager(settings)
    old = await pid_of(manager, "a")
    kill(postgres, old)

    async with manager.connection("a") as conn:
        assert conn.info.backend_pid != old
        assert await (await conn.execute("select 1")).fetchone() == (1,)

    stats = manager.stats().tenants["a"]
    assert (stats.requests, stats.leases, stats.lost) == (2, 2, 1)
    assert stats.refused == {}


async def test_a_dead_connection_of_another_tenant_is_replaced_unnoticed(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1, check_after=60)
    manager = await open_manager(settings)
    kill(postgres, await pid_of(manager, "a"))

    assert (await manager.execute("b", "show app.tenant")).fetchone() == ("b",)


async def test_a_warm_connection_that_nobody_has_used_yet_is_tested_too(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(
        postgres, {"a": {"dbname": database}}, tier={"min_size": 1}, check_after=0
    )
    manager = await open_manager(settings)
    assert await manager.warmup() == {"a": 1}
    kill(postgres, *backends(postgres, database))

    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


async def test_when_all_idle_connections_died_the_next_lease_does_not_back_off(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """psycopg_pool waits 1 s and longer after each; a back-off here would trip the timeout."""
    settings = make_settings(postgres, {"a": {"dbname": database}}, check_after=0)
    manager = await open_manager(settings)
    await fill(manager, "a", 8)
    kill(postgres, *backends(postgres, database))

    async with manager.connection("a", timeout=5) as conn:
        assert await (await conn.execute("select 1")).fetchone() == (1,)

    stats = manager.stats()
    assert stats.tenants["a"].lost == 8
    assert stats.tenants["a"].breaker == stats.databases["main"].breaker == "closed"
    assert stats.tenants["a"].wait_longest < 1
    await wait_until(lambda: manager.stats().databases["main"].used == 1)


@pytest.mark.parametrize("check_after", [0, 60])
async def test_a_connection_is_tested_only_when_it_was_idle_for_long(
    check_after: float, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(
        postgres,
        {"a": {"dbname": database}},
        conninfo=postgres.dsn(options=StatementLog.OPTIONS),
        check_after=check_after,
    )
    manager = await open_manager(settings)
    log = StatementLog(postgres, await pid_of(manager, "a"))

    await pid_of(manager, "a")

    assert log.statements() == ([] if check_after else [""])


async def test_a_test_leaves_the_connection_as_it_was(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, check_after=0)
    manager = await open_manager(settings)
    await pid_of(manager, "a")

    async with manager.connection("a") as conn:
        assert not conn.autocommit
        assert conn.info.transaction_status.name == "IDLE"
