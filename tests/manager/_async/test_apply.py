"""Another configuration comes into force while everything runs."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest

from tenantpool import AsyncManager, ConfigError, ManagerClosed, Settings
from tenantpool.config.overrides import Override, Overrides
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import LeaseEnded, Refused, TenantSuspended, UnknownTenant
from tests.manager._async.helpers import Background, OpenManager, pid_of, raises, wait_until
from tests.manager.support import backends, make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest

NAME = "select current_setting('application_name')"


def used(manager: AsyncManager, database: str = "main") -> int:
    return manager.stats().databases[database].used


def waiting(manager: AsyncManager, tenant: str) -> int:
    return manager.stats().tenants[tenant].waiting


async def one(manager: AsyncManager, tenant: str, sql: str) -> Any:
    """What *sql* gives to *tenant* now."""
    [(value,)] = (await manager.execute(tenant, sql)).fetchall()
    return value


# -- limits of a tenant ----------------------------------------------------------------------------


async def test_a_higher_cap_serves_at_once_who_waits(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants, tier={"cap": 1}))
    async with manager.connection("a"):
        second = Background(pid_of, manager, "a")
        await wait_until(lambda: waiting(manager, "a") == 1)
        plan = await manager.apply(make_settings(postgres, tenants, tier={"cap": 2}))
        await second.result()
    assert [change.text for change in plan.changes] == ["tier basic: cap 1 → 2 (1 tenant)"]


async def test_a_tenant_gets_the_tier_that_is_written_for_it_now(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database, "tier": "pro"}}
    manager = await open_manager(make_settings(postgres, tenants))
    await pid_of(manager, "a")
    tenants = {"a": {"dbname": database, "tier": "enterprise"}}
    plan = await manager.apply(make_settings(postgres, tenants))
    assert "a: pro → enterprise (" in plan.changes[0].text
    assert "cap 25 → 50" in plan.changes[0].text
    assert manager.stats().tenants["a"].cap == 50


async def test_a_lower_cap_ends_no_lease_and_lends_no_more(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants, tier={"shrink": "return"}))
    async with manager.connection("a") as first, manager.connection("a"):
        limits = {"cap": 1, "shrink": "return", "acquire_timeout": 0.05}
        await manager.apply(make_settings(postgres, tenants, tier=limits))
        assert [lease.wanted_by for lease in manager.leases()] == [None, None]
        async with raises(Exception, match="TENANT_LIMIT"), manager.connection("a"):
            pass
        await first.execute("select 1")
    await pid_of(manager, "a")


async def test_holders_above_a_lower_cap_are_asked_and_the_youngest_ends_last(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    limits = {"shrink": "terminate", "shrink_grace": 0.2}
    manager = await open_manager(make_settings(postgres, tenants, tier=limits))
    async with manager.connection("a") as old:
        async with raises(LeaseEnded), manager.connection("a") as young:
            settings = make_settings(postgres, tenants, tier=limits | {"cap": 1})
            await manager.apply(settings)
            assert all(lease.wanted_by is not None for lease in manager.leases())
            await wait_until(lambda: used(manager) == 1)
            with pytest.raises(psycopg.OperationalError):
                await young.execute("select 1")
        await old.execute("select 1")
    assert manager.stats().tenants["a"].revoked == 1


async def test_other_settings_of_its_sessions_reach_the_connection_that_it_had(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, shared(database, "a")))
    pid = await pid_of(manager, "a")
    tenants = {"a": {"dbname": database, "settings": {"app.tenant": "another"}}}
    await manager.apply(make_settings(postgres, tenants))
    assert await one(manager, "a", "select current_setting('app.tenant')") == "another"
    assert await pid_of(manager, "a") == pid


async def test_what_is_the_same_changes_nothing(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = shared(database, "a")
    manager = await open_manager(make_settings(postgres, tenants))
    pid = await pid_of(manager, "a")
    plan = await manager.apply(make_settings(postgres, tenants))
    assert plan.changes == ()
    assert await pid_of(manager, "a") == pid


# -- who is a tenant -------------------------------------------------------------------------------


async def test_a_suspended_tenant_is_refused_with_that_reason_until_it_is_not(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants))
    async with manager.connection("a") as held:
        await manager.apply(make_settings(postgres, {"a": {"dbname": database, "suspended": True}}))
        async with raises(TenantSuspended, match="the configuration says so"):
            await pid_of(manager, "a")
        await held.execute("select 1")
    await wait_until(lambda: used(manager) == 0)
    await manager.apply(make_settings(postgres, tenants))
    await pid_of(manager, "a")


async def test_a_tenant_that_is_written_no_more_is_unknown_and_its_leases_end_well(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    both = {"a": {"dbname": database}, "b": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, both))
    async with manager.connection("a") as held:
        await manager.apply(make_settings(postgres, {"b": {"dbname": database}}))
        async with raises(UnknownTenant):
            await pid_of(manager, "a")
        await held.execute("select 1")
    await manager.apply(make_settings(postgres, both))
    await pid_of(manager, "a")


async def test_an_override_wins_over_the_file(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants))
    await pid_of(manager, "a")
    override = Override("a", "enterprise", None, None, "ops", "launch day", 0.0, "1")
    await manager.apply(overrides=Overrides([override]))
    assert manager.stats().tenants["a"].cap == 50
    await manager.apply(make_settings(postgres, tenants, tier={"cap": 3}))
    assert manager.stats().tenants["a"].cap == 50
    await manager.apply(overrides=Overrides.NONE)
    assert manager.stats().tenants["a"].cap == 3


# -- moves -----------------------------------------------------------------------------------------


async def test_a_tenant_moves_to_another_dbname_with_those_who_wait_for_it(
    postgres: EmbeddedPostgres, databases: Any, open_manager: OpenManager
):
    here, there = databases(2)
    manager = await open_manager(make_settings(postgres, {"a": {"dbname": here}}, tier={"cap": 1}))
    async with manager.connection("a") as held:
        waiter = Background(one, manager, "a", "select current_database()")
        await wait_until(lambda: waiting(manager, "a") == 1)
        await manager.apply(make_settings(postgres, {"a": {"dbname": there}}, tier={"cap": 1}))
        await held.execute("select 1")
        assert waiting(manager, "a") == 1
    assert await waiter.result() == there
    await wait_until(lambda: backends(postgres, here) == [])


def two_databases(
    server: EmbeddedPostgres, tenants: Any, *, names: tuple[str, ...] = ("main", "second")
) -> Settings:
    """Two entries under ``databases``, as two servers would be."""
    databases = {name: {"conninfo": server.dsn(), "capacity": 4} for name in names}
    tier = {"cap": 2, "shrink_grace": 0.1}
    return make_settings(server, tenants, tier=tier, sections={"databases": databases})


async def test_a_tenant_moves_to_another_database_and_its_cap_counts_both(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    before = {"a": {"dbname": database, "database": "main"}}
    after = {"a": {"dbname": database, "database": "second"}}
    manager = await open_manager(two_databases(postgres, before))
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(manager.connection("a"))
        waiter = Background(pid_of, manager, "a")
        await wait_until(lambda: waiting(manager, "a") == 1)
        plan = await manager.apply(two_databases(postgres, after))
        assert [str(change) for change in plan.changes] == ["a: moves from main to second"]
        assert (used(manager), used(manager, "second")) == (2, 0)
    await waiter.result()
    await wait_until(lambda: used(manager) == 0)
    assert used(manager, "second") == 1


async def test_a_lease_that_was_made_before_its_tenant_moved_is_had_where_it_is_now(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(
        two_databases(postgres, {"a": {"dbname": database, "database": "main"}})
    )
    lease = manager.connection("a")
    await manager.apply(two_databases(postgres, {"a": {"dbname": database, "database": "second"}}))
    async with lease:
        assert (used(manager), used(manager, "second")) == (0, 1)


async def test_a_database_can_come_and_go(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    on_main = {"a": {"dbname": database, "database": "main"}}
    on_second = {"a": {"dbname": database, "database": "second"}}
    manager = await open_manager(two_databases(postgres, on_main, names=("main",)))
    async with manager.connection("a"):
        await manager.apply(two_databases(postgres, on_second))
        await pid_of(manager, "a")
        await manager.apply(two_databases(postgres, on_second, names=("second",)))
        assert used(manager) == 1
    await wait_until(lambda: set(manager.stats().databases) == {"second"})
    await pid_of(manager, "a")


# -- databases -------------------------------------------------------------------------------------


async def test_a_higher_capacity_serves_at_once_who_waits(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants, capacity=1))
    async with manager.connection("a"):
        second = Background(pid_of, manager, "a")
        await wait_until(lambda: waiting(manager, "a") == 1)
        await manager.apply(make_settings(postgres, tenants, capacity=2))
        await second.result()


async def test_a_lower_capacity_closes_idle_connections_at_once_and_others_as_they_return(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants, capacity=4))
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(manager.connection("a"))
        await pid_of(manager, "a")
        assert used(manager) == 4
        await manager.apply(make_settings(postgres, tenants, capacity=2))
        await wait_until(lambda: used(manager) == 3)
    await wait_until(lambda: used(manager) == 2)
    assert len(backends(postgres, database)) == 2


async def test_after_another_conninfo_old_connections_serve_until_a_new_one_is_there(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants))
    async with manager.connection("a") as held:
        await pid_of(manager, "a")
        renewed = postgres.dsn(application_name="renewed")
        await manager.apply(make_settings(postgres, tenants, conninfo=renewed))
        await held.execute("select 1")
    await wait_until(lambda: backends(postgres, database) == [])
    assert await one(manager, "a", NAME) == "renewed"


async def test_a_conninfo_that_does_not_work_leaves_the_old_connections_in_service(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants))
    pid = await pid_of(manager, "a")
    wrong = postgres.dsn(user="nobody_of_that_name")
    await manager.apply(make_settings(postgres, tenants, conninfo=wrong))
    for _ in range(20):
        assert await pid_of(manager, "a") == pid
    async with manager.connection("a"), raises(Refused), manager.connection("a", timeout=5):
        pass
    await manager.apply(make_settings(postgres, tenants))
    await pid_of(manager, "a")


# -- as a whole or not at all ----------------------------------------------------------------------


async def test_what_needs_a_restart_is_refused_and_nothing_of_the_rest_is_applied(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants))
    await pid_of(manager, "a")
    sections = {"service": {"name": "another"}}
    with pytest.raises(ConfigError, match="needs a restart"):
        await manager.apply(make_settings(postgres, tenants, tier={"cap": 2}, sections=sections))
    assert manager.stats().tenants["a"].cap == 8


async def test_a_manager_that_is_not_open_takes_no_configuration(
    postgres: EmbeddedPostgres, database: str
):
    settings = make_settings(postgres, {"a": {"dbname": database}})
    with pytest.raises(ManagerClosed):
        await AsyncManager(settings).apply(settings)


async def test_a_plan_says_what_would_change_and_changes_nothing(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    manager = await open_manager(make_settings(postgres, tenants))
    settings = make_settings(postgres, tenants, capacity=3)
    assert [str(change) for change in (await manager.plan(settings)).changes] == [
        "main: capacity 8 → 3"
    ]
    assert manager.settings is not settings
    assert manager.stats().databases["main"].capacity == 8
