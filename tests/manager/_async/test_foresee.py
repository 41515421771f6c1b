"""A plan says whom new limits would hit."""

from __future__ import annotations

from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, pid_of
from tests.manager.support import make_settings
from tests.support.servers import on_latest

pytestmark = on_latest


async def test_leases_above_a_lower_cap_and_requests_that_it_would_have_met(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}, "b": {"dbname": "postgres"}}
    manager = await open_manager(make_settings(postgres, tenants))
    await pid_of(manager, "b")
    async with manager.connection("a"), manager.connection("a"):
        lower = make_settings(postgres, tenants, tier={"cap": 1})
        (impact,) = await manager.foresee(lower)
        assert (impact.database, impact.tenant, impact.above) == ("main", "a", 1)
        assert (impact.foreseen.requests, impact.foreseen.over_cap) == (2, 1)
        assert await manager.foresee(make_settings(postgres, tenants)) == []
        assert manager.stats().tenants["a"].in_use == 2


async def test_tenants_that_are_gone_or_suspended_and_a_lower_capacity(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}, "b": {"dbname": "postgres"}}
    manager = await open_manager(make_settings(postgres, tenants))
    async with manager.connection("a"), manager.connection("b"):
        suspended = {"b": {"dbname": "postgres", "suspended": True}}
        new = make_settings(postgres, suspended, capacity=1)
        found = [impact[:3] for impact in await manager.foresee(new)]
        assert found == [("main", "", 1), ("main", "a", 1), ("main", "b", 1)]
