"""Rule 3: nobody waits while a slot is free that it may use."""

from __future__ import annotations

from tenantpool.core.request import GRANTED, WAITING, Request
from tests.core.driver import World


def test_an_idle_connection_of_its_own_is_lent_at_once() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(1, a)
    assert world.ask(a).state == GRANTED
    assert len(world.opens) == 1


def test_spare_capacity_is_used_at_once() -> None:
    world = World(capacity=3)
    world.lease_all(2, world.tenant("a"))
    world.ask(world.tenant("b"))
    assert len(world.opens) == 3


def test_an_idle_connection_of_others_is_evicted_at_once() -> None:
    world = World(capacity=1)
    world.open_idle(1, world.tenant("a"))
    world.run(1.0)
    request = world.ask(world.tenant("b"))
    assert len(world.closes) == 1
    world.settle()
    assert request.state == GRANTED


def test_who_is_at_its_cap_does_not_stand_in_the_way() -> None:
    world = World(capacity=2)
    a = world.tenant("a", cap=1, weight=100)
    world.lease(a)
    world.ask(a)
    assert world.lease(world.tenant("b")).state == GRANTED


def test_who_may_not_connect_does_not_stand_in_the_way() -> None:
    world = World(capacity=3)
    a = world.tenant("a", guarantee=3)
    world.lease(a)
    assert world.trip(a).state == WAITING
    assert world.lease(world.tenant("b")).state == GRANTED


def test_a_connection_nobody_waits_for_any_more_serves_the_next() -> None:
    world = World(capacity=1)
    a = world.tenant("a")
    world.cancel(world.ask(a))
    assert world.lease(a).state == GRANTED
    assert len(world.opens) == 1


def test_a_waiter_is_served_by_whatever_comes_first() -> None:
    """It may be a connection that comes back, while one is opening for it."""
    world = World(connect=1.0)
    a = world.tenant("a", cap=2)
    held = world.lease(a)
    request = world.ask(a)
    world.give_back(held)
    assert request.state == GRANTED
    world.settle()
    assert len(a.pool.idle) == 1


def test_who_lost_its_connection_gets_an_idle_one_of_its_pool() -> None:
    """Another waits for longer, but the connection is too young to be evicted for it."""
    world = World(capacity=2, min_connection_age=0.1)
    x, y = world.tenant("x", "shared", cap=1), world.tenant("y", "shared")
    held, idle = world.lease(x), world.lease(y)
    world.give_back(idle)
    world.ask(world.tenant("b"))
    waiting = world.ask(x)
    assert waiting.state == WAITING
    world.give_back(held, healthy=False)
    assert waiting.state == GRANTED


def test_one_waiter_asks_for_one_slot() -> None:
    world = World(connect=1.0)
    a, b = world.tenant("a"), world.tenant("b")
    world.ask(a)
    world.run(0.1)
    world.ask(b)
    world.run(0.1)
    assert [slot.pool.name for slot in world.opens] == ["a", "b"]


def at_its_cap_beside_an_idle_connection(world: World) -> tuple[Request, Request]:
    """A lease of a tenant and its waiter, an idle connection in their pool, nothing else free.

    Somebody else waits too, goes first, and can't be helped: every connection is too young.
    """
    a, b = world.tenant("a", "shared", cap=1), world.tenant("b", "shared")
    held = world.lease(a)
    world.open_idle(1, b)
    waiter = world.ask(a)
    world.ask(world.tenant("other", guarantee=0, weight=9))
    return held, waiter


def test_a_lease_that_ends_without_its_connection_makes_room_for_an_idle_one() -> None:
    for end in ("release", "revoke"):
        world = World(capacity=2, min_connection_age=60.0)
        held, waiter = at_its_cap_beside_an_idle_connection(world)
        assert waiter.state == WAITING
        if end == "release":
            world.give_back(held, healthy=False)
        else:
            world.perform(world.db.revoke(world.now, held))
        assert waiter.state == GRANTED
