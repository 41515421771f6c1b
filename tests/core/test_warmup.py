"""Warmup: connections are opened ahead of demand, from spare capacity."""

from __future__ import annotations

import pytest

from tenantpool.core.tenant import Tenant
from tests.core.driver import REFUSED_ONCE, World


def warm(world: World, tenant: Tenant) -> None:
    world.perform(world.db.warm(world.now, tenant))


def test_a_pool_is_opened_up_to_its_min_size() -> None:
    world = World()
    a = world.tenant("a", min_size=3)
    warm(world, a)
    world.settle()
    assert len(a.pool.idle) == len(world.opens) == 3


def test_it_is_told_when_it_is_warm_and_not_before() -> None:
    world = World(connect_concurrency=2)
    a = world.tenant("a", min_size=3)
    warm(world, a)
    world.run(world.connect)
    assert world.warmed == []
    world.run(world.connect)
    assert world.warmed == [a.pool]


def test_what_is_there_already_counts() -> None:
    world = World()
    a = world.tenant("a", min_size=3)
    world.lease_all(2, a)
    world.settle()
    opened = len(world.opens)
    warm(world, a)
    world.settle()
    assert opened == len(world.opens) == 3


def test_no_more_connects_are_under_way_than_allowed() -> None:
    world = World(connect_concurrency=2)
    warm(world, world.tenant("a", min_size=5))
    assert world.db.connecting == 2
    world.settle()
    assert len(world.opens) == 5


def test_several_pools_are_warmed_one_after_another() -> None:
    world = World(connect_concurrency=2)
    a, b = world.tenant("a", min_size=3), world.tenant("b", min_size=3)
    warm(world, a)
    warm(world, b)
    world.settle()
    assert world.warmed == [a.pool, b.pool]
    assert world.db.used == 6


def test_the_capacity_is_the_limit() -> None:
    world = World(capacity=3)
    a = world.tenant("a", min_size=5)
    warm(world, a)
    world.settle()
    assert (world.db.used, world.warmed) == (3, [a.pool])


def test_no_connection_is_evicted_for_it() -> None:
    world = World(capacity=2)
    world.open_idle(2, world.tenant("a"))
    world.run(1.0)
    warm(world, world.tenant("b", min_size=2))
    assert world.closes == []
    assert len(world.warmed) == 1


def test_who_waits_goes_first() -> None:
    world = World(capacity=10, connect_concurrency=1)
    world.ask_for(2, world.tenant("a"))
    warm(world, world.tenant("b", min_size=2))
    world.settle()
    assert [slot.pool.name for slot in world.opens] == ["a", "a"]


def test_a_min_size_of_none_is_warm_at_once() -> None:
    world = World()
    a = world.tenant("a")
    warm(world, a)
    assert (world.opens, world.warmed) == ([], [a.pool])


def test_a_pool_that_cannot_connect_is_not_waited_for() -> None:
    world = World()
    a = world.tenant("a", min_size=2)
    world.failing["a"] = REFUSED_ONCE
    warm(world, a)
    world.run(1.0)
    assert world.warmed == [a.pool]


def test_a_pool_that_may_not_connect_is_not_waited_for() -> None:
    world = World()
    a = world.tenant("a", min_size=2)
    world.trip(a)
    tried = len(world.opens)
    warm(world, a)
    assert (len(world.opens), world.warmed) == (tried, [a.pool])


@pytest.mark.parametrize("event", ["drain", "shutdown"])
def test_what_is_drained_is_not_warmed(event: str) -> None:
    world = World()
    a = world.tenant("a", min_size=2)
    what = (a,) if event == "drain" else ()
    world.perform(getattr(world.db, event)(world.now, *what))
    warm(world, a)
    assert (world.opens, world.warmed) == ([], [a.pool])


def test_a_first_request_warms_the_pool() -> None:
    world = World()
    a = world.tenant("a", min_size=3)
    world.lease(a)
    world.settle()
    assert (a.in_use, len(a.pool.idle)) == (1, 2)
