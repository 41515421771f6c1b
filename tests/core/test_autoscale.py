"""A cap follows use: when it grows and shrinks, between what, and that it does not flap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.autoscale import SAMPLES, Autoscale, AutoscaleLimits, CapChange

LIMITS = AutoscaleLimits(floor=2, ceiling=40, interval=5.0)


class World:
    """A tenant that would use *demand* connections, under a cap that is scaled."""

    def __init__(self, cap: int, limits: AutoscaleLimits = LIMITS, capacity: int = 100) -> None:
        self.autoscale = Autoscale(limits)
        self.cap = cap
        self.capacity = capacity
        self.now = 0.0

    def sample(self, demand: float) -> CapChange | None:
        self.now += self.autoscale.limits.interval
        in_use = min(demand, self.cap)
        change = self.autoscale.note(self.now, in_use, self.cap, self.capacity)
        if change is not None:
            self.cap = change.new
        return change

    def run(self, demand: float, samples: int = SAMPLES) -> list[CapChange]:
        changes = (self.sample(demand) for _ in range(samples))
        return [change for change in changes if change is not None]


def test_above_the_upper_mark_it_grows_by_half() -> None:
    world = World(10)
    assert world.run(9) == [CapChange(10, 15, 0.9)]


def test_below_the_lower_mark_it_shrinks_by_30_percent() -> None:
    world = World(10)
    assert world.run(2) == [CapChange(10, 7, 0.2)]


@pytest.mark.parametrize("demand", [8, 5, 3])
def test_between_the_marks_and_at_them_it_stays(demand: int) -> None:
    assert World(10).run(demand, 100) == []


def test_ten_samples_decide_not_nine() -> None:
    world = World(10)
    assert world.run(10, SAMPLES - 1) == []
    assert world.sample(10) is not None


def test_one_peak_among_ten_samples_does_not_make_it_grow() -> None:
    world = World(10)
    world.run(4, SAMPLES - 1)
    assert world.sample(10) is None


def test_samples_from_before_a_change_do_not_count_after_it() -> None:
    world = World(10)
    world.run(10)
    assert world.run(15, SAMPLES - 1) == []
    assert world.sample(15) == CapChange(15, 23, 1.0)


def test_it_does_not_shrink_for_the_cooldown_after_it_grew() -> None:
    world = World(10)
    world.run(10)
    grew_at = world.now
    while world.sample(0) is None:
        pass
    assert world.now - grew_at >= LIMITS.cooldown


def test_it_grows_again_without_a_cooldown() -> None:
    world = World(4)
    assert [change.new for change in world.run(100, 50)] == [6, 9, 14, 21, 32]


def test_it_ends_at_the_ceiling_and_at_the_floor() -> None:
    world = World(30)
    world.run(100, 200)
    assert world.cap == LIMITS.ceiling
    world.run(0, 500)
    assert world.cap == LIMITS.floor


def test_it_does_not_grow_beyond_what_the_database_has() -> None:
    world = World(10, capacity=12)
    world.run(100, 100)
    assert world.cap == 12


def test_a_capacity_that_is_not_known_yet_is_no_bound() -> None:
    world = World(10, capacity=0)
    world.run(100, 200)
    assert world.cap == LIMITS.ceiling


def test_a_cap_outside_other_limits_goes_there_at_once() -> None:
    world = World(10)
    world.autoscale.adopt(AutoscaleLimits(floor=12, ceiling=40))
    assert world.sample(1) == CapChange(10, 12, 0.1)
    world.autoscale.adopt(AutoscaleLimits(floor=2, ceiling=5))
    assert world.sample(1) == CapChange(12, 5, 1 / 12)


def test_samples_of_another_interval_do_not_count() -> None:
    world = World(10)
    world.run(10, SAMPLES - 1)
    world.autoscale.adopt(AutoscaleLimits(floor=2, ceiling=40, interval=1.0))
    assert world.sample(10) is None


limits = st.builds(
    lambda floor, span, up, down, cooldown: AutoscaleLimits(
        floor=floor, ceiling=floor + span, up_at=up, down_at=up * down, cooldown=cooldown
    ),
    st.integers(1, 60),
    st.integers(0, 200),
    st.floats(0.05, 1.0),
    st.floats(0.01, 0.5),
    st.sampled_from([0.0, 20.0, 300.0]),
)


@given(limits, st.floats(0, 300), st.floats(0, 1), st.integers(0, 300))
def test_under_a_constant_load_it_goes_one_way_and_then_rests(
    limits: AutoscaleLimits, demand: float, start: float, capacity: int
) -> None:
    cap = limits.floor + int(start * (limits.ceiling - limits.floor))
    world = World(cap, limits, capacity)
    world.sample(demand)  # which brings it inside its bounds
    changes = world.run(demand, 60 * SAMPLES)
    assert len({change.new > change.old for change in changes}) <= 1
    assert world.run(demand, 60 * SAMPLES) == []


@given(limits, st.lists(st.floats(0, 400), max_size=300), st.integers(0, 100))
def test_whatever_the_load_it_stays_between_its_bounds(
    limits: AutoscaleLimits, demands: list[float], capacity: int
) -> None:
    world = World(limits.floor, limits, capacity)
    most = min(limits.ceiling, capacity or limits.ceiling)
    for demand in demands:
        world.sample(demand)
        assert min(limits.floor, most) <= world.cap <= most
