"""When an alert fires and when it is resolved, on a fake clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.config.alerts import Rule
from tenantpool.observe.alerts.board import FIRING, PENDING, RESOLVED, Board, Finding, Key

KEY = Key("Saturated", (("database", "main"),))
OTHER = Key("Saturated", (("database", "other"),))
EPOCH = 1_700_000_000.0


class Clock:
    """A board whose time only ``at`` moves."""

    def __init__(self, **rule: object) -> None:
        self.board = Board()
        self.rules = {"Saturated": Rule(**{"after": 60, "resolve_after": 30} | rule)}

    def at(self, now: float, *keys: Key, value: float = 1.0) -> list[tuple[str, str]]:
        """What is told at *now*, when *keys* were found."""
        found = {key: Finding(value, f"{key} is so", "do that") for key in keys}
        told = self.board.update(now, EPOCH + now, found, self.rules)
        return [(alert.labels["database"], alert.state) for alert in told]


def test_what_is_found_is_pending_at_first_and_nobody_is_told() -> None:
    clock = Clock()
    assert clock.at(0, KEY) == []
    assert [alert.state for alert in clock.board.alerts(PENDING)] == [PENDING]
    assert clock.board.alerts(FIRING) == []


def test_it_fires_once_when_it_has_been_so_for_long_enough() -> None:
    clock = Clock()
    assert [clock.at(now, KEY) for now in (0, 59)] == [[], []]
    assert clock.at(60, KEY) == [("main", FIRING)]
    assert clock.at(65, KEY) == []
    [alert] = clock.board.alerts(FIRING)
    assert (alert.since, alert.fired_at, alert.resolved_at) == (EPOCH, EPOCH + 60, None)


def test_what_goes_away_before_that_never_fires_and_begins_anew() -> None:
    clock = Clock()
    clock.at(0, KEY)
    assert clock.at(50) == []
    assert clock.at(55, KEY) == []
    assert clock.at(110, KEY) == []
    assert clock.at(115, KEY) == [("main", FIRING)]


def test_without_a_duration_it_fires_at_once() -> None:
    assert Clock(after=0).at(0, KEY) == [("main", FIRING)]


def test_it_is_resolved_once_when_it_has_been_over_for_long_enough() -> None:
    clock = Clock(after=0)
    clock.at(0, KEY)
    assert clock.at(29) == []
    assert clock.board.alerts(FIRING) != []
    assert clock.at(30) == [("main", RESOLVED)]
    assert clock.at(31) == []
    assert repr(clock.board) == "<Board 0 firing, 0 pending>"


def test_what_comes_back_before_that_goes_on_firing_and_nobody_is_told_again() -> None:
    clock = Clock(after=0)
    clock.at(0, KEY)
    clock.at(20)
    assert [clock.at(now, KEY) for now in (25, 50)] == [[], []]
    assert clock.at(79) == []
    assert clock.at(80) == [("main", RESOLVED)]


def test_the_figures_are_those_of_the_last_look() -> None:
    clock = Clock(after=0)
    clock.at(0, KEY, value=0.91)
    clock.at(5, KEY, value=0.99)
    assert clock.board.alerts(FIRING)[0].value == 0.99


def test_each_place_has_an_alert_of_its_own() -> None:
    clock = Clock()
    clock.at(0, KEY)
    clock.at(30, KEY, OTHER)
    assert clock.at(60, KEY, OTHER) == [("main", FIRING)]
    assert clock.at(90, KEY, OTHER) == [("other", FIRING)]


def test_a_rule_that_is_switched_off_resolves_its_alerts_at_once() -> None:
    clock = Clock(after=0)
    clock.at(0, KEY)
    clock.rules = {"Saturated": Rule(enabled=False)}
    assert clock.at(5, KEY) == [("main", RESOLVED)]
    assert clock.at(6, KEY) == []


def test_other_durations_hold_from_the_next_look_on() -> None:
    clock = Clock()
    clock.at(0, KEY)
    clock.rules = {"Saturated": Rule(after=10, severity="critical")}
    assert clock.at(10, KEY) == [("main", FIRING)]
    assert clock.board.alerts(FIRING)[0].severity == "critical"


@pytest.mark.parametrize("after", [0, 20])
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=60))
def test_it_is_told_of_by_turns(after: int, looks: list[tuple[bool, int]]) -> None:
    clock, now = Clock(after=after), 0
    told: list[tuple[str, str]] = []
    for is_so, seconds in looks:
        now += seconds
        told += clock.at(now, *([KEY] if is_so else []))
    turns = [(FIRING, RESOLVED)[number % 2] for number in range(len(told))]
    assert [state for _, state in told] == turns
    assert bool(clock.board.alerts(FIRING)) == (len(told) % 2 == 1)


def test_a_key_says_where() -> None:
    assert str(Key("Leaks", (("database", "main"), ("tier", "pro")))) == (
        "Leaks (database main, tier pro)"
    )
