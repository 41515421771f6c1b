"""What an operator does with a manager: warm, drain, evict, look."""

from __future__ import annotations

import pytest

from tenantpool import AsyncManager, Draining, UnknownTenant
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.manager.health import Status
from tests.manager._async.helpers import Background, OpenManager, pid_of, wait_until
from tests.manager.support import backends, make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest

OFTEN = {"sweep_interval": 0.001}
"""Tenants without connections are looked at in every 60th sweep."""


def used(manager: AsyncManager) -> int:
    return manager.stats().databases["main"].used


async def test_warmup_opens_the_min_size_of_all_that_are_listed(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}, "b": {"dbname": "postgres"}, "c": {"dbname": "nowhere"}}
    manager = await open_manager(make_settings(postgres, tenants, tier={"min_size": 3}))
    progress: list[tuple[str, int, int]] = []

    warm = await manager.warmup(progress=lambda *step: progress.append(step))

    assert warm == {"a": 3, "b": 3, "c": 0}
    assert progress == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]
    assert len(backends(postgres, database)) == 3
    stats = manager.stats()
    assert stats.tenants["a"].pool_idle == 3
    assert stats.leases == 0


async def test_warmup_stays_within_the_capacity_and_evicts_nobody(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}, "b": {"dbname": "postgres"}}
    settings = make_settings(postgres, tenants, tier={"min_size": 3}, capacity=4)
    manager = await open_manager(settings)
    assert await manager.warmup(["a"]) == {"a": 3}
    assert await manager.warmup(["b"], timeout=5) == {"b": 1}
    assert await manager.warmup([]) == {}
    assert used(manager) == 4
    with pytest.raises(UnknownTenant):
        await manager.warmup(["stranger"])


async def test_a_pool_comes_back_to_its_min_size(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier={"min_size": 2})
    manager = await open_manager(settings)
    await manager.execute("a", "select 1")
    await wait_until(lambda: manager.stats().tenants["a"].pool_idle == 2)


async def test_drain_waits_for_the_leases_and_closes_the_connections(manager: AsyncManager):
    conn = await manager.acquire("a")
    other = await manager.acquire("a")
    waiter = Background(manager.acquire, "a")
    await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
    draining = Background(manager.drain, "a", 60)
    with pytest.raises(Draining):
        await waiter.result()
    await manager.release(other)
    assert not await manager.drain("a", timeout=0.01)
    assert manager.stats().tenants["a"].draining
    await conn.execute("select 1")
    await manager.release(conn)

    assert await draining.result()

    await wait_until(lambda: used(manager) == 0)
    with pytest.raises(Draining):
        await manager.acquire("a")
    manager.resume("a")
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


async def test_draining_one_tenant_of_a_shared_pool_leaves_the_other(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, shared(database, "a", "b"), capacity=1))
    backend = await pid_of(manager, "b")
    assert await manager.drain("a")
    assert await pid_of(manager, "b") == backend


async def test_evict_closes_idle_connections_only(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str
):
    conn = await manager.acquire("a")
    await manager.execute("a", "select 1")
    manager.evict("a")
    await wait_until(lambda: backends(postgres, database) == [conn.info.backend_pid])
    await conn.execute("select 1")
    await manager.release(conn)
    assert used(manager) == 1


async def test_idle_connections_and_idle_tenants_go_by_themselves(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tier = {"max_idle": 0.05, "pool_idle": 0.1}
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier=tier, sections=OFTEN)
    manager = await open_manager(settings)
    await manager.execute("a", "select 1")
    await wait_until(lambda: not manager.stats().tenants)
    assert backends(postgres, database) == []
    assert manager.stats().databases["main"].pools == 0
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


async def test_a_lease_that_was_made_before_its_tenant_was_forgotten(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tier = {"pool_idle": 0.1}
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier=tier, sections=OFTEN)
    manager = await open_manager(settings)
    early = manager.connection("a", timeout=5)
    await wait_until(lambda: not manager.stats().tenants and not used(manager))
    async with early as conn:
        assert await (await conn.execute("select 1")).fetchone() == (1,)
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


async def test_stats_count_what_happened(manager: AsyncManager):
    assert manager.stats().tenants == {}
    async with manager.connection("a"), manager.connection("a"):
        waiter = Background(manager.execute, "a", "select 1")
        await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
        now = manager.stats()
    await waiter.result()
    later = manager.stats()

    tenant, database = now.tenants["a"], now.databases["main"]
    assert (tenant.name, tenant.tier, tenant.database) == ("a", "basic", "main")
    assert (tenant.cap, tenant.in_use, tenant.pool_size, tenant.pool_idle) == (2, 2, 2, 0)
    assert (tenant.requests, tenant.leases, tenant.waiting) == (3, 2, 1)
    assert (database.capacity, database.used, database.in_use) == (4, 2, 2)
    assert (database.waiting, database.pools, database.opened) == (1, 1, 2)
    assert 0 < database.connect_time < 10
    assert later.leases == 3
    assert later.tenants["a"].waited == 3
    assert later.tenants["a"].wait_longest >= later.tenants["a"].wait_mean > 0
    assert later.tenants["a"].held > tenant.held > 0
    assert later.databases["main"].idle == 2


async def test_health_says_what_is_wrong_and_which_setting_helps(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {**shared(database, "a", "c"), "b": {"dbname": "nowhere"}}
    manager = await open_manager(make_settings(postgres, tenants, tier={"cap": 1}, capacity=1))
    await manager.execute("c", "select 1")  # waits for the connect, which may be long
    await manager.execute("a", "select 1")
    assert manager.health().status is Status.HEALTHY
    assert manager.health().tenants["a"].status is Status.HEALTHY

    async with manager.connection("a"):
        with pytest.raises(TimeoutError):
            await manager.acquire("a", timeout=0)
        waiter = Background(manager.acquire, "a")
        await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
        full = manager.health()
    await manager.release(await waiter.result())
    assert full.status is Status.WARNING
    assert "raise capacity" in full.databases["main"].why
    assert full.tenants["a"].status is Status.CRITICAL
    assert "raise cap 1 of tier basic" in full.tenants["a"].why

    for _ in range(3):
        with pytest.raises(Exception, match="nowhere"):
            await manager.acquire("b")
    assert manager.health().tenants["b"].status is Status.CRITICAL
    assert manager.health().tenants["b"].why == "connects fail, the breaker is open"
    assert manager.health().status is Status.HEALTHY
