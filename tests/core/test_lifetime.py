"""A connection lives for ``max_lifetime`` at most, and those of a pool do not end together."""

from __future__ import annotations

from itertools import pairwise

from tenantpool.core.actions import Close
from tenantpool.core.request import GRANTED, WAITING
from tests.core.driver import World


def lifetimes(world: World) -> list[float]:
    return [slot.expires_at - slot.opened_at for slot in world.opens]


def test_lifetimes_are_spread_evenly_over_the_last_twentieth() -> None:
    world = World(capacity=100)
    world.lease_all(100, world.tenant("a", cap=100, max_lifetime=1000.0))
    ends = sorted(lifetimes(world))
    assert 950.0 < ends[0] < ends[-1] <= 1000.0
    gaps = [later - sooner for sooner, later in pairwise([950.0, *ends, 1000.0])]
    assert max(gaps) < 2 * 50.0 / 100


def test_in_a_shared_pool_the_shortest_lifetime_counts() -> None:
    world = World()
    x = world.tenant("x", "shared", max_lifetime=10.0)
    world.tenant("y", "shared", max_lifetime=1000.0)
    world.lease(x)
    assert lifetimes(world)[0] <= 10.0


def test_an_idle_connection_is_closed_when_its_time_is_over() -> None:
    world = World()
    a = world.tenant("a", max_lifetime=100.0, min_size=1)
    world.open_idle(1, a)
    world.run(94.0)
    world.sweep()
    assert world.closes == []
    world.run(6.0)
    world.sweep()
    assert [close.slot for close in world.closes] == world.opens[:1]
    world.settle()
    assert len(a.pool.idle) == 1, "min_size is kept with a new one"


def test_a_connection_whose_time_is_over_is_not_lent() -> None:
    world = World()
    a = world.tenant("a", max_lifetime=100.0)
    world.open_idle(2, a)
    world.run(101.0)
    assert world.ask(a).state == WAITING
    assert [close.slot for close in world.closes] == world.opens[1::-1]
    assert len(world.opens) == 3


def test_a_returned_connection_whose_time_is_over_is_replaced_for_the_next() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_lifetime=100.0)
    held = world.lease(a)
    waiting = world.ask(a)
    world.run(101.0)
    world.give_back(held)
    world.settle()
    assert waiting.state == GRANTED
    assert waiting.slot is world.opens[1]
    assert a.counters.lost == 0


def test_a_wiped_connection_whose_time_is_over_is_closed() -> None:
    world = World()
    a = world.tenant("a", max_lifetime=100.0, reset_always=True)
    held = world.lease(a)
    (slot,) = world.opens
    world.db.release(94.0, held)
    assert world.db.cleaned(101.0, slot) == [Close(slot)]


def test_a_lease_may_outlive_its_connection() -> None:
    world = World()
    request = world.lease(world.tenant("a", max_lifetime=100.0))
    world.run(1000.0)
    world.sweep()
    assert request.state == GRANTED
