"""What lending costs on the wire: nothing for the same tenant, one round trip for another."""

from __future__ import annotations

from typing import Any

import pytest

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, pid_of
from tests.manager.support import StatementLog, Tenants, make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest


@pytest.fixture
def dsn(postgres: EmbeddedPostgres) -> str:
    """Sessions that log every statement."""
    return postgres.dsn(options=StatementLog.OPTIONS)


async def open_with(
    open_manager: OpenManager, postgres: EmbeddedPostgres, tenants: Tenants, dsn: str, **tier: Any
) -> AsyncManager:
    return await open_manager(
        make_settings(postgres, tenants, tier=tier, conninfo=dsn, capacity=1, check_after=60)
    )


@pytest.mark.parametrize("kind", ["dedicated", "shared"])
async def test_the_same_tenant_again_costs_nothing(
    kind: str, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, dsn: str
):
    tenants = {"a": {"dbname": database}} if kind == "dedicated" else shared(database, "a", "b")
    manager = await open_with(open_manager, postgres, tenants, dsn)
    log = StatementLog(postgres, await pid_of(manager, "a"))

    for _ in range(3):
        async with manager.connection("a"):
            pass
    await manager.release(await manager.acquire("a"))

    assert log.statements() == []


async def test_another_tenant_costs_one_round_trip(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, dsn: str
):
    manager = await open_with(open_manager, postgres, shared(database, "a", "b"), dsn)
    log = StatementLog(postgres, await pid_of(manager, "a"))

    for tenant in ("b", "a"):
        async with manager.connection(tenant):
            pass

    switches = log.statements()
    assert len(switches) == 2
    for switch, tenant in zip(switches, ("b", "a"), strict=True):
        assert switch.startswith("CLOSE ALL; ")
        assert switch.endswith(f"SELECT pg_catalog.set_config('app.tenant', '{tenant}', false)")


async def test_a_lease_that_wrote_costs_its_commit_only(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, dsn: str
):
    manager = await open_with(open_manager, postgres, {"a": {"dbname": database}}, dsn)
    log = StatementLog(postgres, await pid_of(manager, "a"))

    async with manager.connection("a") as conn:
        await conn.execute("select 1")
    await manager.execute("a", "select 2")

    assert log.statements() == ["BEGIN", "select 1", "COMMIT", "select 2"]


async def test_reset_always_costs_a_round_trip_at_each_end(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, dsn: str
):
    tenants = shared(database, "a")
    manager = await open_with(open_manager, postgres, tenants, dsn, reset="always")
    log = StatementLog(postgres, await pid_of(manager, "a"))

    await pid_of(manager, "a")
    await pid_of(manager, "a")

    kinds = [statement.split()[0] for statement in log.statements()]
    assert kinds[:4] == ["CLOSE", "SELECT", "CLOSE", "SELECT"]
