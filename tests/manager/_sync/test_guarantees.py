# Generated from ../_async/test_guarantees.py by tools/generate_sync.py: do not edit.
"""What is guaranteed must fit into a capacity, also one that was found out."""

from __future__ import annotations

import pytest

from tenantpool import ConfigError, Manager, Settings
from tenantpool.config.overrides import Override, Overrides
from tenantpool.config.roster import Roster
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.manager.capacity import QUERY
from tests.manager._sync.helpers import OpenManager
from tests.manager.support import make_settings
from tests.support.servers import on_latest

pytestmark = on_latest


def override(tenant: str, tier: str) -> Overrides:
    return Overrides([Override(tenant, tier, None, None, "ops", "", 0.0, "1")])


def test_more_guarantees_than_the_capacity_found_out_holds_are_refused(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    [(limit,)] = postgres.execute(QUERY)
    tiers = {"basic": {"min_size": 0}, "pro": {"guarantee": 4}, "enterprise": {"guarantee": 6}}
    tenants = {"a": {"dbname": database}, "b": {"dbname": database, "tier": "pro"}}

    def settings(room: int) -> Settings:
        return make_settings(
            postgres,
            tenants,
            sections={"tiers": tiers},
            capacity="auto",
            headroom=limit - room,
        )

    manager = open_manager(settings(7))
    said = r"^databases\.main\.capacity: 7 is less than .* guarantees, 8 in all, 4 of them by over"
    with pytest.raises(ConfigError, match=said) as caught:
        manager.apply(overrides=override("a", "pro"))
    assert caught.value.fix == "lower them, or raise max_connections of the server"
    assert manager.roster.overrides == {}
    plan = manager.plan(settings(3))
    assert [refusal.place for refusal in plan.refusals] == ["databases.main.capacity"]
    manager.apply(overrides=override("b", "enterprise"))
    manager.apply(settings(6))
    with pytest.raises(ConfigError, match=r"5 is less than .* guarantees, 6 in all"):
        manager.apply(settings(5))


def test_what_is_promised_too_much_already_keeps_nobody_from_other_changes(
    postgres: EmbeddedPostgres, database: str, caplog: pytest.LogCaptureFixture
):
    made = make_settings(
        postgres,
        {"a": {"dbname": database}},
        sections={"tiers": {"enterprise": {"guarantee": 9}}},
    )
    roster = Roster(made, overrides=override("a", "enterprise"))
    with Manager(roster) as manager:
        assert "guarantees can't be kept" in caplog.text
        plan = manager.apply(make_settings(postgres, {"a": {"dbname": database}}))
        assert plan.changes
