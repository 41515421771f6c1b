"""Rule 7: breakers guard the connects of each pool and of the database."""

from __future__ import annotations

import pytest

from tenantpool.core.breaker import CLOSED, OPEN, Breaker
from tenantpool.core.limits import BreakerLimits
from tenantpool.core.request import GRANTED, REFUSED, WAITING
from tenantpool.errors import Reason
from tests.core.driver import NO_SUCH_DATABASE, REFUSED_ONCE, UNREACHABLE, World, states


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
    world.trip(world.tenant("a"))
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


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("-x-x", OPEN),
        ("x-x", CLOSED),  # the window is not full yet
        ("x----x", CLOSED),  # the first has left it
        ("--xx----x", CLOSED),  # opens, and closes: forgotten
        ("--xx--x-x", OPEN),
    ],
)
def test_a_failure_rate_in_a_full_window_opens_it(outcomes: str, state: str) -> None:
    breaker = Breaker(BreakerLimits(failures=100, window=4, failure_rate=0.5))
    for now, outcome in enumerate(outcomes):
        breaker.begin()
        if outcome == "x":
            breaker.failure(now, REFUSED_ONCE.error)
        else:
            breaker.success()
    assert breaker.state == state


def test_open_connections_go_on_being_lent() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    world.cancel(world.trip(a))
    world.give_back(held)
    assert world.ask(a).state == GRANTED


def test_whoever_has_an_open_connection_to_wait_for_keeps_waiting() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    waiting = world.trip(a)
    assert waiting.state == WAITING
    world.give_back(held)
    assert waiting.state == GRANTED


def test_when_the_last_open_connection_goes_hope_goes_with_it() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    waiting = world.trip(a)
    world.give_back(held, healthy=False)
    world.run(world.close)
    assert waiting.state == REFUSED


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
    world.trip(a)
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
