"""Caps follow what is used, while leases are out; see tests/core/test_autoscale.py for when."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from time import time
from typing import Any

import pytest

from tenantpool import AsyncManager
from tenantpool.config.overrides import Override, Overrides
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import Background, OpenManager, pid_of, wait_until
from tests.manager.support import make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest

TIER: dict[str, Any] = {
    "cap": 2,
    "autoscale": {"floor": 1, "ceiling": 4, "interval": 0.02, "cooldown": 0},
}
STILL = TIER | {"autoscale": None}


def cap_of(manager: AsyncManager, tenant: str = "a") -> int:
    return manager.stats().tenants[tenant].cap


async def test_a_tenant_that_uses_all_it_may_gets_more_and_waiters_are_served(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.INFO, "tenantpool")
    manager = await open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=TIER))
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(manager.connection("a"))
        third = Background(pid_of, manager, "a")
        await third.result()
    [first, *_] = reversed(manager.scaling.changes)
    assert (first.tenant, first.tier, first.old, first.new) == ("a", "basic", 2, 3)
    assert str(first) == "a: cap 2 → 3, as 100% of it was in use"
    records = [r.__dict__["fields"] for r in caplog.records if "cap scaled" in r.getMessage()]
    assert records[0].items() >= {"tenant": "a", "tier": "basic", "old": 2, "new": 3}.items()


async def test_a_tenant_that_uses_little_gets_less_down_to_the_floor(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=TIER))
    await pid_of(manager, "a")
    await wait_until(lambda: cap_of(manager) == 1)


async def test_only_the_tenant_that_needs_more_gets_it(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, shared(database, "a", "b"), tier=TIER))
    async with manager.connection("a"), manager.connection("a"), manager.connection("b"):
        await wait_until(lambda: cap_of(manager, "a") > 2)
        assert cap_of(manager, "b") == 2


async def test_a_reload_keeps_what_was_scaled_and_the_end_of_scaling_does_not(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}}
    slow = TIER | {"autoscale": {"floor": 1, "ceiling": 4, "interval": 60}}
    manager = await open_manager(make_settings(postgres, tenants, tier=TIER))
    async with manager.connection("a"), manager.connection("a"):
        await wait_until(lambda: cap_of(manager) == 3)
        await manager.apply(make_settings(postgres, tenants, tier=slow))
        assert cap_of(manager) >= 3
    await manager.apply(make_settings(postgres, tenants, tier=STILL))
    assert cap_of(manager) == 2


async def test_an_operators_override_wins(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tiers = {"tiers": {"basic": {"min_size": 0, **TIER}, "gold": {"min_size": 0, **TIER}}}
    settings = make_settings(postgres, {"a": {"dbname": database}}, sections=tiers)
    manager = await open_manager(settings)
    async with manager.connection("a"), manager.connection("a"):
        await wait_until(lambda: cap_of(manager) > 2)
        override = Override("a", "gold", None, None, "ops", "", time(), "1")
        await manager.apply(overrides=Overrides([override]))
        made = len(manager.scaling.changes)
        assert cap_of(manager) == 2
        await wait_until(lambda: not manager.scaling._scales)
        assert (cap_of(manager), len(manager.scaling.changes)) == (2, made)


async def test_it_can_be_undone_and_stays_undone_until_it_is_resumed(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=TIER))
    async with manager.connection("a"), manager.connection("a"):
        await wait_until(lambda: cap_of(manager) > 2)
        manager.scaling.undo("a")
        assert cap_of(manager) == 2
        for _ in range(30):
            manager.scaling.sweep()
        assert cap_of(manager) == 2
        assert repr(manager.scaling) == "<AsyncScaling follows 0 tenants>"
        manager.scaling.resume("a")
        await wait_until(lambda: cap_of(manager) > 2)
