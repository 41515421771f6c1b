"""Rule 7: after a back-off one probe finds out whether connects work again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tenantpool.core.breaker import CLOSED, HALF_OPEN
from tenantpool.core.limits import BreakerLimits
from tenantpool.core.request import GRANTED, REFUSED, WAITING
from tenantpool.errors import Reason
from tests.core.driver import UNREACHABLE, World, states


def test_half_open_lets_one_probe_through() -> None:
    world = World()
    a = world.tenant("a")
    world.trip(a)
    world.run(1.0)
    tried = len(world.opens)
    assert states(world.ask_for(3, a)) == [WAITING, REFUSED, REFUSED]
    assert a.pool.breaker.state == HALF_OPEN
    assert len(world.opens) == tried + 1


def test_a_probe_that_works_closes_it() -> None:
    world = World()
    a = world.tenant("a")
    world.trip(a)
    world.run(1.0)
    world.failing.clear()
    assert world.lease(a).state == GRANTED
    assert a.pool.breaker.state == CLOSED
    assert world.told("breaker closed") == [{"of": "a"}]
    world.lease_all(3, a)


def test_after_a_probe_that_works_everybody_who_waits_for_its_pool_is_served() -> None:
    world = World()
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    world.lease(x)
    requests = [world.trip(x), world.ask(y)]
    world.failing.clear()
    world.run(1.5)
    assert states(requests) == [GRANTED, GRANTED]


def test_the_back_off_doubles_up_to_its_maximum_and_begins_anew() -> None:
    world = World(connect=0.0, close=0.0)
    limits = BreakerLimits(failures=2, backoff=1.0, backoff_max=5.0)
    a = world.tenant("a", breaker=limits)
    world.trip(a)
    for _ in range(4):
        world.run(a.pool.breaker.retry_at - world.now)
        world.ask(a)
        world.run(0.0)
    world.failing.clear()
    world.run(5.0)
    world.give_back(world.lease(a), healthy=False)
    world.run(0.0)
    world.trip(a)
    backoffs = [fields["retry_after"] for fields in world.told("breaker opened")]
    assert backoffs == [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]


def test_whoever_kept_waiting_is_tried_again_when_the_back_off_is_over() -> None:
    world = World()
    a = world.tenant("a")
    world.lease(a)
    waiting = world.trip(a)
    world.failing.clear()
    assert world.wakes == [a.pool.breaker.retry_at]
    world.run(1.0)
    assert waiting.state == GRANTED


def test_a_back_off_outlives_its_pool() -> None:
    world = World()
    limits = BreakerLimits(failures=1, backoff=100.0, backoff_max=100.0)
    a = world.tenant("a", pool_idle=10.0, breaker=limits)
    world.trip(a)
    world.run(11.0)
    world.sweep()
    assert not world.db.pools
    again = world.tenant("a", pool_idle=10.0, breaker=limits)
    assert again is not a
    assert world.refusal(again).reason == Reason.BREAKER_OPEN


def test_back_offs_that_are_over_are_not_kept() -> None:
    world = World()
    limits = BreakerLimits(failures=1, backoff=1.0, backoff_max=10.0)
    tenants = [world.tenant(name, pool_idle=30.0, breaker=limits) for name in "abc"]
    for tenant in tenants:
        world.trip(tenant)
    world.run(31.0)
    world.sweep()
    assert world.db.breakers == {}


def test_a_probe_of_the_pool_that_met_a_dead_host_says_nothing_of_the_pool() -> None:
    world = World()
    a = world.tenant("a")
    world.trip(a)
    world.run(1.0)
    world.failing["a"] = UNREACHABLE
    probe = world.ask(a)
    world.run(world.connect + world.close)
    assert len(world.told("breaker opened")) == 1
    world.failing.clear()
    world.settle()
    assert probe.state == GRANTED


def test_after_such_a_probe_all_that_wait_for_the_pool_are_tried_again() -> None:
    world = World()
    holder, first, second = (world.tenant(name, "shared", cap=1) for name in "abc")
    world.lease(holder)
    probed = world.trip(first)
    other = world.ask(second)
    world.failing["shared"] = UNREACHABLE
    world.run(1.1)
    world.cancel(probed)
    world.failing.clear()
    world.run(3.0)
    assert other.state == GRANTED


def test_whoever_waits_for_a_probe_under_way_is_told_how_it_ends() -> None:
    """And not refused meanwhile, because the last open connection has gone."""
    world = World(connect=0.01, close=0.005)
    a = world.tenant("a")
    held = world.lease(a)
    waiting = world.trip(a)
    world.failing.clear()
    world.run(a.pool.breaker.retry_at - world.now - 0.001)
    world.give_back(held, healthy=False)
    world.run(0.006)
    assert (a.pool.breaker.state, waiting.state) == (HALF_OPEN, WAITING)
    world.run(0.006)
    assert waiting.state == GRANTED


def test_time_passes_before_every_probe() -> None:
    world = World()
    a = world.tenant("a")
    world.lease(a)
    world.trip(a)
    world.run(60.0)
    waits = [later - sooner for sooner, later in pairwise(world.wakes)]
    assert waits == pytest.approx([2.0, 4.0, 8.0, 16.0, 30.0], abs=0.1)
