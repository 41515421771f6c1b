"""Rule 7: breakers guard the connects of each pool and of the database."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tenantpool.core.breaker import CLOSED, HALF_OPEN, OPEN
from tenantpool.core.limits import BreakerLimits
from tenantpool.core.request import GRANTED, REFUSED, WAITING, Request
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason
from tests.core.driver import NO_SUCH_DATABASE, REFUSED_ONCE, UNREACHABLE, World, states


def trip(world: World, tenant: Tenant) -> Request:
    """Let connects of the tenant's pool fail until its breaker opens."""
    world.failing[tenant.pool.name] = REFUSED_ONCE
    request = world.ask(tenant)
    world.run(0.2)
    assert tenant.pool.breaker.state == OPEN
    return request


def test_failures_in_a_row_open_it_and_fail_those_who_wait_at_once() -> None:
    world = World(connect=0.01, close=0.001)
    world.failing["a"] = REFUSED_ONCE
    a = world.tenant("a", breaker=BreakerLimits(failures=3))
    first = world.ask(a)
    world.run(0.025)
    second = world.ask(a)
    world.run(0.025)
    assert states([first, second]) == [REFUSED, REFUSED]
    assert a.pool.breaker.state == OPEN
    assert world.told("breaker opened")[0]["of"] == "a"


def test_a_connect_that_works_between_failures_starts_the_count_anew() -> None:
    world = World(capacity=10, connect_concurrency=1)
    a = world.tenant("a", cap=10)
    for _ in range(3):
        world.failing["a"] = REFUSED_ONCE
        request = world.ask(a)
        world.run(0.02)
        del world.failing["a"]
        world.settle()
        assert request.state == GRANTED
    assert (a.counters.connect_failures, a.pool.breaker.state) == (3 * 2, CLOSED)


def test_a_tenants_failures_are_nobody_elses() -> None:
    world = World()
    trip(world, world.tenant("a"))
    assert world.db.breaker.state == CLOSED
    world.lease(world.tenant("b"))


def test_an_unreachable_host_trips_the_database_for_all() -> None:
    world = World()
    world.failing["a"] = UNREACHABLE
    a, b = world.tenant("a"), world.tenant("b")
    world.ask(a)
    world.run(0.1)
    assert (world.db.breaker.state, a.pool.breaker.state) == (OPEN, CLOSED)
    error = world.refusal(b)
    assert (error.reason, error.__cause__) == (Reason.BREAKER_OPEN, UNREACHABLE.error)


def test_when_the_database_breaker_opens_the_waiters_of_all_pools_give_up() -> None:
    world = World(connect_concurrency=1)
    world.failing["a"] = UNREACHABLE
    world.ask_for(5, world.tenant("a", weight=100))
    other = world.ask(world.tenant("b", weight=0.001))
    world.failing["b"] = UNREACHABLE
    world.run(0.1)
    assert other.state == REFUSED


def test_half_open_lets_one_probe_through() -> None:
    world = World()
    a = world.tenant("a")
    trip(world, a)
    world.run(1.0)
    tried = len(world.opens)
    assert states(world.ask_for(3, a)) == [WAITING, REFUSED, REFUSED]
    assert a.pool.breaker.state == HALF_OPEN
    assert len(world.opens) == tried + 1


def test_a_probe_that_works_closes_it() -> None:
    world = World()
    a = world.tenant("a")
    trip(world, a)
    world.run(1.0)
    world.failing.clear()
    assert world.lease(a).state == GRANTED
    assert a.pool.breaker.state == CLOSED
    assert world.told("breaker closed") == [{"of": "a"}]
    world.lease_all(3, a)


def test_the_back_off_doubles_up_to_its_maximum_and_begins_anew() -> None:
    world = World(connect=0.0, close=0.0)
    limits = BreakerLimits(failures=2, backoff=1.0, backoff_max=5.0)
    a = world.tenant("a", breaker=limits)
    trip(world, a)
    for _ in range(4):
        world.run(a.pool.breaker.retry_at - world.now)
        world.ask(a)
        world.run(0.0)
    world.failing.clear()
    world.run(5.0)
    world.give_back(world.lease(a), healthy=False)
    world.run(0.0)
    trip(world, a)
    backoffs = [fields["retry_after"] for fields in world.told("breaker opened")]
    assert backoffs == [1.0, 2.0, 4.0, 5.0, 5.0, 1.0]


@pytest.mark.parametrize(("pattern", "state"), [("-x-x", OPEN), ("-x--", CLOSED), ("-xx", CLOSED)])
def test_a_failure_rate_in_a_full_window_opens_it(pattern: str, state: str) -> None:
    world = World(capacity=20)
    limits = BreakerLimits(failures=100, window=4, failure_rate=0.5)
    a = world.tenant("a", cap=20, breaker=limits)
    for outcome in pattern:
        world.failing = {"a": REFUSED_ONCE} if outcome == "x" else {}
        request = world.ask(a)
        world.run(world.connect)
        world.cancel(request)
        world.lease_all(len(a.pool.idle), a)
        world.run(world.close)
    assert a.pool.breaker.state == state


def test_open_connections_go_on_being_lent() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    world.cancel(trip(world, a))
    world.give_back(held)
    assert world.ask(a).state == GRANTED


def test_whoever_has_an_open_connection_to_wait_for_keeps_waiting() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    waiting = trip(world, a)
    assert waiting.state == WAITING
    world.give_back(held)
    assert waiting.state == GRANTED


def test_whoever_kept_waiting_is_tried_again_when_the_back_off_is_over() -> None:
    world = World()
    a = world.tenant("a")
    world.lease(a)
    waiting = trip(world, a)
    world.failing.clear()
    assert world.wakes == [a.pool.breaker.retry_at]
    world.run(1.0)
    assert waiting.state == GRANTED


def test_when_the_last_open_connection_goes_hope_goes_with_it() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    waiting = trip(world, a)
    world.give_back(held, healthy=False)
    world.run(world.close)
    assert waiting.state == REFUSED


def test_a_back_off_outlives_its_pool() -> None:
    world = World()
    limits = BreakerLimits(failures=1, backoff=100.0, backoff_max=100.0)
    a = world.tenant("a", pool_idle=10.0, breaker=limits)
    trip(world, a)
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
        trip(world, tenant)
    world.run(31.0)
    world.sweep()
    assert world.db.breakers == {}


def test_a_final_failure_refuses_at_once() -> None:
    world = World()
    world.failing["a"] = NO_SUCH_DATABASE
    a = world.tenant("a")
    requests = world.ask_for(2, a)
    world.run(world.connect)
    errors = [request.error for request in requests]
    assert [error and error.reason for error in errors] == [Reason.CONNECT_FAILED] * 2
    assert all(error and error.__cause__ is NO_SUCH_DATABASE.error for error in errors)
    assert a.pool.breaker.state == CLOSED


def test_a_final_failure_leaves_those_with_open_connections_waiting() -> None:
    world = World()
    a = world.tenant("a")
    world.lease(a)
    world.failing["a"] = NO_SUCH_DATABASE
    waiting = world.ask(a)
    world.run(world.connect)
    assert waiting.state == WAITING


def test_a_breaker_can_be_closed_by_hand() -> None:
    world = World()
    a = world.tenant("a")
    trip(world, a)
    world.failing.clear()
    world.perform(world.db.reset_breaker(world.now, a))
    world.lease(a)


def test_a_database_that_cannot_be_asked_is_left_alone_for_a_while() -> None:
    world = World()
    error = OSError("no answer")
    world.perform(world.db.unreachable(world.now, error))
    assert world.refusal(world.tenant("a")).__cause__ is error
    world.run(world.db.limits.breaker.backoff)
    world.lease(world.tenant("a"))


def test_a_probe_of_the_pool_that_met_a_dead_host_says_nothing_of_the_pool() -> None:
    world = World()
    a = world.tenant("a")
    trip(world, a)
    world.run(1.0)
    world.failing["a"] = UNREACHABLE
    probe = world.ask(a)
    world.run(world.connect + world.close)
    assert len(world.told("breaker opened")) == 1
    world.failing.clear()
    world.settle()
    assert probe.state == GRANTED


def test_whoever_waits_for_a_probe_under_way_is_told_how_it_ends() -> None:
    """And not refused meanwhile, because the last open connection has gone."""
    world = World(connect=0.01, close=0.005)
    a = world.tenant("a")
    held = world.lease(a)
    waiting = trip(world, a)
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
    trip(world, a)
    world.run(60.0)
    waits = [later - sooner for sooner, later in pairwise(world.wakes)]
    assert waits == pytest.approx([2.0, 4.0, 8.0, 16.0, 30.0], abs=0.1)
