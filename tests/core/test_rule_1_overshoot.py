"""Rule 1: overshoot is zero. A slot counts from before its connect until its backend is gone."""

from __future__ import annotations

import pytest

from tenantpool.core.request import GRANTED, WAITING
from tenantpool.core.slot import CLOSING, IDLE, IN_USE, OPENING, RESETTING
from tests.core.driver import REFUSED_ONCE, World, states


def test_a_slot_counts_before_its_connect() -> None:
    world = World(capacity=2)
    requests = world.ask_for(3, world.tenant("a"))
    assert world.db.used == len(world.opens) == 2
    assert states(requests) == [WAITING, WAITING, WAITING]


@pytest.mark.parametrize("state", [OPENING, IN_USE, RESETTING, IDLE, CLOSING])
def test_a_slot_counts_in_every_state(state: str) -> None:
    world = World(capacity=1, min_connection_age=60.0)
    request = world.ask(world.tenant("a", reset_always=True))
    if state != OPENING:
        world.settle()
    if state in (RESETTING, IDLE, CLOSING):
        world.give_back(request, healthy=state != CLOSING)
    if state == IDLE:
        world.settle()
    world.ask(world.tenant("b"))
    assert [slot.state for slot in world.db.slots] == [state]
    assert len(world.opens) == 1


def test_a_slot_is_free_when_its_backend_is_gone_and_not_before() -> None:
    world = World(capacity=1, close=0.001)
    world.give_back(world.lease(world.tenant("a")), healthy=False)
    world.ask(world.tenant("b"))
    world.run(0.0009)
    assert len(world.opens) == 1
    world.run(0.0002)
    assert len(world.opens) == 2


def test_a_failed_connect_counts_until_what_it_left_on_the_server_is_gone() -> None:
    world = World(capacity=1, connect=0.01, close=0.001)
    world.failing["a"] = REFUSED_ONCE
    world.ask(world.tenant("a"))
    world.run(0.0101)
    assert [slot.state for slot in world.db.slots] == [CLOSING]
    assert world.db.used == 1


def test_a_moved_slot_counts_once() -> None:
    world = World(capacity=1)
    world.open_idle(1, world.tenant("a"))
    world.run(1.0)
    b = world.tenant("b")
    world.ask(b)
    assert (world.db.used, world.db.leaving, b.pending) == (1, 1, 1)
    world.settle()
    assert (world.db.used, world.db.leaving, b.pending, b.in_use) == (1, 0, 0, 1)


def test_no_more_connects_are_under_way_than_allowed() -> None:
    world = World(capacity=10, connect_concurrency=2)
    requests = world.ask_for(5, world.tenant("a"))
    assert len(world.opens) == world.db.connecting == 2
    world.run(world.connect)
    assert states(requests) == [GRANTED, GRANTED, WAITING, WAITING, WAITING]
    assert len(world.opens) == 4


def test_a_slot_that_is_being_moved_is_a_connect_under_way() -> None:
    world = World(capacity=3, connect_concurrency=2)
    world.open_idle(3, world.tenant("a"))
    world.run(1.0)
    world.ask_for(3, world.tenant("b"))
    assert len(world.closes) == world.db.connecting == 2
