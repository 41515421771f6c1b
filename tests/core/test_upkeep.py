"""Upkeep: idle connections are closed, a few are kept, and pools that nobody uses go."""

from __future__ import annotations

from tenantpool.core.request import GRANTED
from tests.core.driver import World


def test_an_idle_connection_is_closed_after_max_idle() -> None:
    world = World()
    a = world.tenant("a", max_idle=60.0)
    world.open_idle(2, a)
    world.run(59.0)
    world.sweep()
    assert len(a.pool.idle) == 2
    world.run(2.0)
    world.sweep()
    assert len(a.pool.idle) == 0


def test_one_that_was_used_meanwhile_stays() -> None:
    """The warmest is lent, so the surplus cools down."""
    world = World()
    a = world.tenant("a", max_idle=60.0)
    world.open_idle(3, a)
    for _ in range(3):
        world.run(25.0)
        world.open_idle(1, a)
    world.sweep()
    assert len(a.pool.idle) == 1


def test_min_size_connections_are_kept() -> None:
    world = World()
    a = world.tenant("a", min_size=2, max_idle=60.0)
    world.open_idle(3, a)
    world.run(61.0)
    world.sweep()
    assert len(a.pool.idle) == 2


def test_of_a_shared_pool_the_largest_min_size_is_kept() -> None:
    world = World()
    x = world.tenant("x", "shared", min_size=2, max_idle=60.0)
    world.tenant("y", "shared", min_size=1)
    world.open_idle(3, x)
    world.run(61.0)
    world.sweep()
    assert len(x.pool.idle) == 2


def test_connections_in_use_count_towards_min_size() -> None:
    world = World()
    a = world.tenant("a", min_size=2, max_idle=60.0)
    held = world.lease_all(3, a)
    world.give_back(held[0])
    world.run(61.0)
    world.sweep()
    assert len(a.pool.idle) == 0


def test_what_min_size_lacks_is_opened_again() -> None:
    world = World()
    a = world.tenant("a", min_size=2)
    held = world.lease_all(2, a)
    world.give_back(*held, healthy=False)
    world.lease(a)
    world.settle()
    assert a.pool.live == 2


def test_a_pool_that_nobody_uses_is_closed_as_a_whole_and_forgotten() -> None:
    world = World()
    a = world.tenant("a", min_size=2, pool_idle=100.0)
    world.open_idle(2, a)
    world.run(99.0)
    world.sweep()
    assert len(a.pool.idle) == 2
    world.run(2.0)
    world.sweep()
    assert len(a.pool.idle) == 0
    world.settle()
    world.sweep()
    assert (world.db.used, world.db.pools, world.db.tenants) == (0, {}, {})


def test_a_pool_with_a_lease_is_not_abandoned() -> None:
    world = World()
    a = world.tenant("a", min_size=2, pool_idle=100.0, cap=2)
    held = world.lease_all(2, a)
    world.give_back(held[0])
    world.run(200.0)
    world.sweep()
    assert len(a.pool.idle) == 1


def test_a_sweep_gives_what_it_frees_to_those_who_wait() -> None:
    world = World(capacity=2, min_connection_age=1e9)
    a = world.tenant("a", max_idle=60.0)
    world.open_idle(2, a)
    requests = world.ask_for(2, world.tenant("b"))
    world.run(61.0)
    world.sweep()
    world.run(1.0)
    assert all(request.slot for request in requests)


def test_a_lost_connection_is_closed_unless_it_is_in_use() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(2, a)
    lent = world.lease(a)
    assert lent.slot is not None
    for slot in list(a.pool.slots):
        world.perform(world.db.lost(world.now, slot))
    world.settle()
    assert (lent.state, world.db.used, a.counters.lost) == (GRANTED, 1, 1)


def test_what_is_lost_is_replaced_when_its_pool_is_used_again() -> None:
    """While nobody does, it is not known whether the server is back."""
    world = World()
    a = world.tenant("a", min_size=3)
    world.open_idle(3, a)
    world.run(1.0)
    world.perform(world.db.lost(world.now, next(iter(a.pool.idle))))
    world.run(1.0)
    world.sweep()
    world.settle()
    assert len(a.pool.idle) == 2
    world.give_back(world.lease(a))
    world.sweep()
    world.settle()
    assert len(a.pool.idle) == 3
