"""The capacity may change while connections are open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenantpool.core.limits import BreakerLimits
from tenantpool.core.request import GRANTED, WAITING
from tenantpool.core.slot import GONE
from tests.core.driver import UNREACHABLE, World, states


def set_capacity(world: World, capacity: int) -> None:
    world.perform(world.db.set_capacity(world.now, capacity))


def test_more_is_lent_at_once() -> None:
    world = World(capacity=1)
    a = world.tenant("a")
    requests = world.ask_for(3, a)
    set_capacity(world, 2)
    assert len(world.opens) == 2
    world.settle()
    assert states(requests) == [GRANTED, GRANTED, WAITING]


def test_less_closes_idle_connections_now_the_least_needed_first() -> None:
    world = World(capacity=5)
    a, b = world.tenant("a"), world.tenant("b")
    world.open_idle(3, a)
    world.open_idle(2, b)
    for _ in range(9):
        world.open_idle(1, a)
    world.run(1.0)
    set_capacity(world, 4)
    assert [close.slot.pool.name for close in world.closes] == ["b"]
    set_capacity(world, 1)
    world.settle()
    assert world.db.used == 1


def test_less_closes_connections_in_use_as_they_return() -> None:
    world = World(capacity=3)
    a = world.tenant("a", cap=3)
    held = world.lease_all(3, a)
    waiting = world.ask(world.tenant("b"))
    set_capacity(world, 1)
    assert world.closes == []
    world.give_back(held[0], held[1])
    world.settle()
    assert (world.db.used, waiting.state) == (1, WAITING)
    world.give_back(held[2])
    world.settle()
    assert (world.db.used, waiting.state) == (1, GRANTED)


def test_less_closes_connects_under_way_as_they_end() -> None:
    world = World(capacity=2)
    requests = world.ask_for(2, world.tenant("a"))
    set_capacity(world, 1)
    world.settle()
    assert sorted(slot.state for slot in world.opens) == [GONE, "in use"]
    assert sorted(states(requests)) == [GRANTED, WAITING]


def test_a_wiped_connection_above_the_capacity_is_closed() -> None:
    world = World(capacity=2)
    held = world.lease_all(2, world.tenant("a", reset_always=True))
    world.give_back(held[0])
    set_capacity(world, 1)
    world.settle()
    assert world.db.used == 1


def test_no_more_is_closed_than_has_to_be() -> None:
    world = World(capacity=5)
    a = world.tenant("a")
    held = world.lease_all(5, a)
    set_capacity(world, 3)
    world.give_back(*held)
    world.settle()
    assert len(a.pool.idle) == 3


def test_a_capacity_of_nothing_lends_nothing() -> None:
    world = World(capacity=0)
    request = world.ask(world.tenant("a"))
    world.settle()
    assert (request.state, world.opens) == (WAITING, [])


def test_a_database_that_answers_takes_connections() -> None:
    world = World(capacity=1)
    world.perform(world.db.unreachable(world.now, UNREACHABLE.error))
    world.perform(world.db.reachable(world.now, 2))
    world.lease_all(2, world.tenant("a"))
    assert world.told("breaker closed") == [{"of": "main"}]


def test_all_limits_of_a_database_change_at_once() -> None:
    world = World(capacity=4, connect_concurrency=1)
    a = world.tenant("a")
    world.ask_for(4, a)
    assert world.opening(a) == 1
    limits = replace(world.db.limits, connect_concurrency=3, breaker=BreakerLimits(failures=9))
    world.perform(world.db.set_limits(world.now, limits))
    assert world.opening(a) == 3
    assert world.db.breaker.limits.failures == 9


@pytest.mark.parametrize(("age", "closes"), [(0.0, 1), (50.0, 1), (500.0, 0)])
def test_another_min_connection_age_counts_for_connections_that_are_there(
    age: float, closes: int
) -> None:
    world = World(capacity=1, min_connection_age=10.0)
    world.open_idle(1, world.tenant("a"))
    world.run(60.0)
    limits = replace(world.db.limits, min_connection_age=age)
    world.perform(world.db.set_limits(world.now, limits))
    waiting = world.ask(world.tenant("b"))
    assert len(world.closes) == closes
    world.run(500.0)
    assert waiting.state == GRANTED
