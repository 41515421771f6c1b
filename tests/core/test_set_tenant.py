"""A tenant gets other limits, or other settings of its sessions, while it is at work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenantpool.core.limits import BreakerLimits
from tenantpool.core.request import GRANTED, REFUSED, WAITING
from tenantpool.errors import Reason
from tests.core.driver import World, states


def test_a_raised_cap_is_lent_at_once_from_idle_and_from_new_connections() -> None:
    world = World()
    a, b = world.tenant("a", "shared", cap=1), world.tenant("b", "shared", cap=2)
    world.open_idle(2, b)
    waiting = world.ask_for(4, a)
    world.change(a, cap=3)
    assert states(waiting) == [GRANTED, GRANTED, WAITING, WAITING]
    world.settle()
    assert states(waiting) == [GRANTED, GRANTED, GRANTED, WAITING]


def test_a_raised_overflow_is_lent_at_once() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    waiting = world.ask_for(2, a)
    world.settle()
    world.change(a, overflow=1)
    world.settle()
    assert states(waiting) == [GRANTED, GRANTED]


def test_another_weight_and_guarantee_count_at_once() -> None:
    world = World(capacity=4, quantum_factor=0.0)
    a, b = world.tenant("a"), world.tenant("b")
    held = world.lease_all(2, a) + world.lease_all(2, b)
    more_a, more_b = world.ask(a), world.ask(b)
    world.change(b, weight=4.0)
    world.give_back(held[0])
    world.run(0.1)
    assert states([more_a, more_b]) == [WAITING, GRANTED]
    other = world.ask(b)
    world.change(a, guarantee=3)
    world.give_back(held[2])
    world.run(0.1)
    assert states([more_a, other]) == [GRANTED, WAITING]


def test_who_waits_stays_when_fewer_may_wait() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_waiting=5)
    held = world.lease(a)
    waiting = world.ask_for(3, a)
    world.change(a, max_waiting=1)
    assert states(waiting) == [WAITING] * 3
    assert world.refusal(a).reason == Reason.QUEUE_FULL
    world.give_back(held)
    assert waiting[0].state == GRANTED


def test_a_token_bucket_stays_as_full_as_it_is_in_proportion() -> None:
    world = World(capacity=100)
    a = world.tenant("a", cap=100, rate=1.0, burst=10)
    world.ask_for(5, a)
    world.change(a, rate=2.0, burst=40)
    asked = world.ask_for(21, a)
    assert [request.state for request in asked].count(REFUSED) == 1
    world.change(a, rate=None)
    assert world.ask(a).state != REFUSED
    world.change(a, rate=1.0, burst=1)
    assert world.ask(a).state != REFUSED
    assert world.refusal(a).reason == Reason.RATE_LIMIT


def test_a_raised_min_size_warms_up_and_a_lowered_one_lets_idle_connections_cool_down() -> None:
    world = World()
    a = world.tenant("a", max_idle=60.0)
    world.open_idle(1, a)
    world.change(a, min_size=3)
    world.settle()
    assert len(a.pool.idle) == 3
    world.change(a, min_size=0)
    assert len(a.pool.idle) == 3
    world.run(61.0)
    world.sweep()
    assert len(a.pool.idle) == 0


def test_a_pool_that_has_never_been_used_is_not_warmed_by_a_change() -> None:
    world = World()
    world.change(world.tenant("a"), min_size=3)
    assert world.opens == []


def test_a_lowered_max_lifetime_counts_from_when_a_connection_was_opened() -> None:
    world = World()
    a = world.tenant("a", max_lifetime=3600.0)
    held = world.lease(a)
    world.open_idle(1, a)
    world.run(100.0)
    world.change(a, max_lifetime=100.0)
    world.sweep()
    assert len(world.closes) == 1
    world.give_back(held)
    assert len(world.closes) == 2


def test_a_raised_max_lifetime_lets_connections_live_on() -> None:
    world = World()
    a = world.tenant("a", max_lifetime=100.0)
    world.open_idle(1, a)
    world.change(a, max_lifetime=3600.0)
    world.run(500.0)
    world.sweep()
    assert len(a.pool.idle) == 1


def test_in_a_shared_pool_the_shortest_lifetime_and_the_largest_size_count() -> None:
    world = World()
    x = world.tenant("x", "shared", min_size=1, max_lifetime=50.0)
    y = world.tenant("y", "shared", min_size=2, max_lifetime=70.0)
    world.change(x, min_size=4, max_lifetime=90.0, cap=7)
    assert (x.pool.min_size, x.pool.max_lifetime, x.pool.cap) == (4, 70.0, 12)
    world.change(y, min_size=0, max_lifetime=20.0)
    world.change(x, min_size=3)
    assert (x.pool.min_size, x.pool.max_lifetime, x.pool.ceiling) == (3, 20.0, 12)


def test_in_a_shared_pool_the_strictest_breaker_counts() -> None:
    world = World()
    lenient = BreakerLimits(failures=9, window=40, failure_rate=0.9, backoff=5.0, backoff_max=9.0)
    strict = BreakerLimits(failures=2, window=10, failure_rate=0.5, backoff=1.0, backoff_max=60.0)
    both = BreakerLimits(failures=2, window=10, failure_rate=0.5, backoff=5.0, backoff_max=60.0)
    x = world.tenant("x", "shared", breaker=lenient, pool_idle=1.0)
    assert x.pool.breaker.limits == lenient
    y = world.tenant("y", "shared", breaker=strict, pool_idle=100.0)
    assert y.pool.breaker.limits == both
    world.change(x, breaker=lenient)
    assert y.pool.breaker.limits == both, "whoever was set last"
    world.change(y, breaker=lenient)
    assert y.pool.breaker.limits == lenient
    world.change(y, breaker=strict)
    world.run(2.0)
    world.sweep()
    assert (x.forgotten, y.pool.breaker.limits) == (True, strict)


def test_a_breaker_keeps_its_state_under_other_limits() -> None:
    world = World()
    a = world.tenant("a")
    world.trip(a)
    world.change(a, breaker=BreakerLimits(failures=7, window=2, backoff=0.1, backoff_max=0.2))
    assert (a.pool.breaker.state, a.pool.breaker.limits.failures) == ("open", 7)
    assert world.refusal(a).reason == Reason.BREAKER_OPEN


@pytest.mark.parametrize("outcomes", [[True, False, True, True], [False, False, True, False]])
def test_a_breaker_forgets_the_oldest_outcomes_when_its_window_shrinks(
    outcomes: list[bool],
) -> None:
    world = World()
    breaker = world.tenant("a").pool.breaker
    for failed in outcomes:
        if failed:
            breaker.failure(0.0, ConnectionError())
        else:
            breaker.success()
    breaker.adopt(replace(breaker.limits, window=2))
    assert breaker._outcomes == outcomes[-2:]
    assert breaker._failed == sum(outcomes[-2:])


def test_other_settings_of_a_session_are_applied_to_connections_that_carry_the_former() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    world.open_idle(1, a)
    world.perform(world.db.set_tenant(world.now, a, a.limits, "search_path"))
    assert a.session == "search_path"
    assert [slot.tenant is a for slot in a.pool.slots] == [False, False]
    assert None not in [slot.tenant for slot in a.pool.slots], "it is not blank either"
    assert held.state == GRANTED


def test_the_same_settings_change_nothing() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(1, a)
    world.change(a)
    assert [slot.tenant for slot in a.pool.slots] == [a]
    assert world.closes == []


def test_a_tenant_that_has_been_forgotten_is_remembered_by_its_new_limits() -> None:
    world = World()
    a = world.tenant("a", pool_idle=1.0)
    world.run(5.0)
    world.sweep()
    world.change(a, cap=2)
    assert world.lease(a).tenant.limits.cap == 2


def test_whoever_is_known_by_that_name_gets_the_limits() -> None:
    world = World()
    a = world.tenant("a", pool_idle=1.0)
    world.run(5.0)
    world.sweep()
    again = world.lease(a).tenant
    world.change(a, cap=2)
    assert (again is a, again.limits.cap) == (False, 2)
