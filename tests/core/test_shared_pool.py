"""Which connection of its pool a tenant gets."""

from __future__ import annotations

from tests.core.driver import World


def test_the_one_that_carries_its_session() -> None:
    world = World()
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    mine, first, last = world.lease(x), world.lease(y), world.lease(y)
    slot = mine.slot
    world.give_back(first, mine, last)
    assert world.ask(x).slot is slot


def test_or_else_the_coldest_so_that_others_keep_theirs() -> None:
    world = World()
    x, y, z = (world.tenant(name, "shared") for name in "xyz")
    first, second = world.lease(x), world.lease(y)
    coldest = second.slot
    world.give_back(second, first)
    assert world.ask(z).slot is coldest


def test_it_does_not_look_for_long() -> None:
    """The search is bounded: what is far down in a large pool counts as not found."""
    world = World(capacity=20)
    x, y = (world.tenant(name, "shared", cap=20) for name in "xy")
    others = world.lease_all(2, y)
    mine = world.lease(x)
    later = world.lease_all(8, y)
    coldest = others[0].slot
    world.give_back(*others, mine, *later)
    assert world.ask(x).slot is coldest


def test_alone_in_its_pool_it_gets_the_warmest() -> None:
    world = World()
    a = world.tenant("a", reset_always=True)
    first, second = world.lease_all(2, a)
    warmest = first.slot
    world.give_back(second, first)
    world.settle()
    assert world.ask(a).slot is warmest


def test_a_waiter_gets_what_comes_back_whoever_had_it() -> None:
    world = World(capacity=1)
    held = world.lease(world.tenant("x", "shared"))
    waiting = world.ask(world.tenant("y", "shared"))
    slot = held.slot
    world.give_back(held)
    assert waiting.slot is slot


def test_tenants_that_share_a_pool_take_turns() -> None:
    world = World(capacity=2)
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    held = world.lease_all(2, x)
    again = world.ask(x)
    fair = world.ask(y)
    world.give_back(held[0])
    assert (again.slot, fair.slot) == (None, world.opens[0])
