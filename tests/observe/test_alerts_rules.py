"""What the rules find, each in a sight that was made for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tenantpool.config.alerts import Alerts
from tenantpool.core.tally import BOUNDS
from tenantpool.observe.alerts.board import Key
from tenantpool.observe.alerts.rules import RULES, find
from tenantpool.observe.alerts.sight import DatabaseSight, Past, Sight, TierSight

FINE = DatabaseSight(
    capacity=10,
    in_use=5,
    closing=0,
    waiting=0,
    breaker="closed",
    error="",
    shut=[],
    evictions=0,
    overshoots=0,
)
MAIN = (("database", "main"),)
MAIN_BASIC = (*MAIN, ("tier", "basic"))


def waits(**counts: int) -> list[int]:
    """Leases that waited up to so long, such as ``_1=3``: three of up to 1 s."""
    found = [0] * (len(BOUNDS) + 1)
    for bound, count in counts.items():
        found[BOUNDS.index(float(bound[1:].replace("_", ".")))] += count
    return found


class Scene:
    """A service that is seen again and again, on a fake clock."""

    def __init__(self, **rules: Any) -> None:
        self.settings = Alerts(**rules)
        self.past = Past()
        self.now = 0.0

    def see(self, after: float = 0.0, tier: TierSight | None = None, **database: Any) -> list[Key]:
        """The alerts that are due when this is seen, so many seconds after the last sight."""
        self.now += after
        problem = database.pop("reload_problem", "")
        tiers = {("main", "basic"): tier} if tier is not None else {}
        sight = Sight({"main": replace(FINE, **database)}, tiers, problem)
        self.past.note(self.now, sight)
        self.found = find(self.now, sight, self.past, self.settings)
        return list(self.found)

    def text(self) -> str:
        """What is said of the only one."""
        [finding] = self.found.values()
        return finding.summary


def test_where_all_is_well_nothing_is_found() -> None:
    scene = Scene()
    tier = TierSight(1000, 0, 0, waits(_0_001=1000))
    assert [scene.see(15, tier) for _ in range(100)] == [[]] * 100


def test_every_rule_of_the_settings_is_there() -> None:
    assert list(RULES) == list(Alerts().rules)


# -- WaitTooLong -----------------------------------------------------------------------------------


def test_long_waits_are_found() -> None:
    scene = Scene()
    scene.see()
    tier = TierSight(100, waits=waits(_0_001=95, _2=5))
    assert scene.see(15, tier) == [Key("WaitTooLong", MAIN_BASIC)]
    assert scene.text() == "tier basic waits 1.8 s for main"


def test_long_waits_of_fewer_than_one_in_a_hundred_are_not() -> None:
    scene = Scene()
    scene.see()
    assert scene.see(15, TierSight(1000, waits=waits(_0_001=995, _2=5))) == []


def test_long_waits_of_before_are_over_after_five_minutes() -> None:
    scene = Scene()
    scene.see()
    tier = TierSight(100, waits=waits(_2=100))
    assert scene.see(15, tier)
    assert scene.see(270, tier)
    assert scene.see(15, tier)
    assert scene.see(15, tier) == []


# -- Refusals and leaks ----------------------------------------------------------------------------


def test_refusals_are_found_above_one_in_a_hundred() -> None:
    scene = Scene()
    scene.see()
    assert scene.see(15, TierSight(990, refused=10, waits=waits(_0_001=990))) == []
    assert scene.see(15, TierSight(990, refused=20, waits=waits(_0_001=990))) == [
        Key("Refusals", MAIN_BASIC)
    ]
    assert scene.text() == "2 % of the requests of tier basic on main are refused"


def test_refusals_of_those_who_never_got_a_lease_are_found() -> None:
    scene = Scene()
    scene.see()
    assert scene.see(15, TierSight(0, refused=1, waits=waits())) == [Key("Refusals", MAIN_BASIC)]


def test_leaks_are_found_for_a_quarter_of_an_hour() -> None:
    scene = Scene()
    scene.see()
    tier = TierSight(leaks=1, waits=waits())
    assert scene.see(15, tier) == [Key("Leaks", MAIN_BASIC)]
    assert scene.text() == "1 lease of tier basic on main held for longer than leak_after"
    for _ in range(59):
        assert scene.see(15, tier)
    assert scene.see(15, tier) == []


# -- databases -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_use", "waiting", "found"), [(10, 1, True), (9, 1, False), (10, 0, False)]
)
def test_a_database_is_saturated_when_it_is_full_and_somebody_waits(
    in_use: int, waiting: int, found: bool
) -> None:
    scene = Scene()
    keys = scene.see(in_use=in_use, waiting=waiting)
    assert keys == ([Key("Saturated", MAIN)] if found else [])


def test_a_capacity_that_is_not_known_is_not_full() -> None:
    assert Scene().see(capacity=0, in_use=0, waiting=5) == []


@pytest.mark.parametrize("state", ["open", "half-open"])
def test_a_breaker_that_is_not_closed_is_found(state: str) -> None:
    scene = Scene()
    assert scene.see(breaker=state, error="no route to host") == [Key("BreakerOpen", MAIN)]
    assert scene.text() == "tenantpool cannot connect to main: no route to host"


def test_breakers_of_tenants_are_one_alert_that_names_them() -> None:
    scene = Scene()
    shut = [(f"t{number}", f'database "t{number}" does not exist') for number in range(7)]
    assert scene.see(shut=shut) == [Key("TenantBreakersOpen", MAIN)]
    assert scene.text() == "connects of 7 pools on main fail: t0, t1, t2, t3, t4 and 2 more"
    [finding] = scene.found.values()
    assert finding.description.startswith('t0: database "t0" does not exist. ')


def test_connections_that_do_not_close_are_found() -> None:
    scene = Scene()
    scene.see()
    assert scene.see(60, closing=2) == [Key("SlotLeak", MAIN)]
    assert scene.text() == "2 connections to main will not close"


def test_where_slots_move_fast_one_that_closes_is_no_leak() -> None:
    scene = Scene()
    scene.see()
    assert scene.see(60, closing=1, evictions=61) == []
    assert scene.see(300, closing=1, evictions=70) == [Key("SlotLeak", MAIN)]


def test_more_connections_than_the_capacity_are_found() -> None:
    scene = Scene()
    assert scene.see(overshoots=1) == [Key("Overshoot", MAIN)]


def test_a_reload_that_was_refused_is_found() -> None:
    scene = Scene()
    assert scene.see(reload_problem="tiers.x: unknown key") == [Key("ReloadFailed")]
    assert scene.text() == "the new configuration was refused: tiers.x: unknown key"


# -- settings --------------------------------------------------------------------------------------


def test_thresholds_are_those_of_the_settings() -> None:
    scene = Scene(saturated={"above": 0.4}, refusals={"above": 0.5}, wait_too_long={"above": 3})
    scene.see()
    tier = TierSight(100, refused=60, waits=waits(_2=100))
    assert scene.see(15, tier, waiting=1) == [Key("Saturated", MAIN)]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("saturated", {"in_use": 10, "waiting": 1}),
        ("breaker_open", {"breaker": "open"}),
        ("tenant_breakers_open", {"shut": [("a", "")]}),
        ("slot_leak", {"closing": 1}),
        ("overshoot", {"overshoots": 1}),
        ("reload_failed", {"reload_problem": "no"}),
        ("leaks", {"tier": TierSight(leaks=1, waits=waits())}),
        ("refusals", {"tier": TierSight(refused=1, waits=waits())}),
        ("wait_too_long", {"tier": TierSight(9, waits=waits(_5=9))}),
    ],
)
def test_each_rule_can_be_switched_off(name: str, seen: dict[str, Any]) -> None:
    on, off = Scene(), Scene(**{name: {"enabled": False}})
    on.see()
    off.see()
    assert len(on.see(15, **seen)) == 1
    assert off.see(15, **seen) == []


def test_the_past_is_a_quarter_of_an_hour_and_no_more() -> None:
    past = Past()
    for second in range(5000):
        past.note(second, Sight(reload_problem=str(second)))
    assert repr(past) == "<Past 61 sights>"
    seconds, sight = past.before(4999, 300)
    assert 300 <= seconds < 315
    assert float(sight.reload_problem) == 4999 - seconds
