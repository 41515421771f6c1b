"""Overflow: connections above the cap, from spare capacity, while nobody else needs them."""

from __future__ import annotations

from tenantpool.core.request import GRANTED, WAITING
from tests.core.driver import World, states


def test_spare_capacity_is_lent_above_the_cap() -> None:
    world = World(capacity=10)
    requests = world.ask_for(4, world.tenant("a", cap=1, overflow=2))
    world.settle()
    assert states(requests) == [GRANTED, GRANTED, GRANTED, WAITING]


def test_no_connection_is_evicted_for_it() -> None:
    world = World(capacity=2)
    world.open_idle(1, world.tenant("other"))
    world.run(1.0)
    a = world.tenant("a", cap=1, overflow=1)
    world.lease(a)
    assert world.ask(a).state == WAITING
    assert world.closes == []


def test_whoever_is_below_its_cap_goes_first_however_late_it_came() -> None:
    world = World(capacity=2)
    held = world.lease(world.tenant("holder"))
    a = world.tenant("a", cap=1, overflow=1)
    world.lease(a)
    above = world.ask(a)
    world.run(5.0)
    below = world.ask(world.tenant("b"))
    world.give_back(held)
    world.settle()
    assert (above.state, below.state) == (WAITING, GRANTED)


def test_in_a_shared_pool_too() -> None:
    world = World(capacity=2)
    x, y = world.tenant("x", "shared", cap=1, overflow=1), world.tenant("y", "shared")
    held = world.lease(y)
    world.lease(x)
    above = world.ask(x)
    world.run(5.0)
    below = world.ask(y)
    world.give_back(held)
    assert (above.state, below.state) == (WAITING, GRANTED)


def test_a_quantum_does_not_protect_it() -> None:
    world = World(capacity=2)
    a = world.tenant("a", cap=1, overflow=1)
    held = world.lease_all(2, a)
    below = world.ask(world.tenant("b"))
    above = world.ask(a)
    world.give_back(held[0])
    world.settle()
    assert (above.state, below.state) == (WAITING, GRANTED)


def test_an_idle_connection_is_kept_for_those_below_their_cap() -> None:
    """It is still too young to be evicted for the other; that makes it nobody's overflow."""
    world = World(capacity=2, min_connection_age=0.1)
    a = world.tenant("a", cap=1, overflow=1)
    idle = world.lease_all(2, a)[0]
    world.give_back(idle)
    below = world.ask(world.tenant("b"))
    above = world.ask(a)
    assert len(a.pool.idle) == 1
    world.settle()
    assert (above.state, below.state) == (WAITING, GRANTED)


def test_an_idle_connection_above_the_cap_is_closed_after_overflow_idle() -> None:
    world = World(capacity=10)
    a = world.tenant("a", cap=2, overflow=2, overflow_idle=5.0)
    world.open_idle(4, a)
    world.run(4.9)
    world.sweep()
    assert len(a.pool.idle) == 4
    world.run(0.2)
    world.sweep()
    assert len(a.pool.idle) == 2


def test_in_a_shared_pool_the_caps_add_up() -> None:
    world = World(capacity=10)
    x = world.tenant("x", "shared", cap=2, overflow=2)
    world.tenant("y", "shared", cap=1)
    world.open_idle(4, x)
    world.run(6.0)
    world.sweep()
    assert len(x.pool.idle) == 3
