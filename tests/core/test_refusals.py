"""Rule 6: a refusal names the limit that was met, who holds it, the wait and when to retry."""

from __future__ import annotations

import pytest

from tenantpool import errors
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason, Refused
from tests.core.driver import NO_SUCH_DATABASE, REFUSED_ONCE, UNREACHABLE, World, refusal_of


def test_draining() -> None:
    world = World()
    a = world.tenant("a")
    world.perform(world.db.drain(world.now, a))
    error = world.refusal(a)
    assert str(error) == "a: DRAINING: the tenant is being drained"
    assert (error.retry_after, error.holders, error.waited) == (None, {}, 0.0)


def test_closing() -> None:
    world = World()
    world.perform(world.db.shutdown(world.now))
    error = world.refusal(world.tenant("a"))
    assert str(error) == "a: DRAINING: the manager is closing"


def test_rate_limit() -> None:
    world = World()
    a = world.tenant("a", tier="pro", rate=2.5, burst=1)
    world.ask(a)
    assert str(world.refusal(a)) == (
        "a: RATE_LIMIT: tier pro allows 2.5 leases per second (burst 1); retry after 0.400 s"
    )


def test_queue_full() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_waiting=2)
    world.lease(a)
    world.ask_for(2, a)
    assert str(world.refusal(a)) == (
        "a: QUEUE_FULL: tier basic lets 2 wait (max_waiting); held by a: 1; retry after 0.010 s"
    )


def shut(world: World, tenant: Tenant) -> Refused:
    """How a request ends that finds out that connects fail too often."""
    request = world.ask(tenant)
    world.run(1.0)
    return refusal_of(request)


def test_breaker_of_the_pool() -> None:
    world = World(connect=0.01, close=0.0)
    world.failing["a"] = REFUSED_ONCE
    error = shut(world, world.tenant("a"))
    assert str(error) == (
        "a: BREAKER_OPEN: connects to a failed too often, the breaker is open; waited 0.030 s;"
        " retry after 1.000 s; last connect error: too many connections for role"
    )
    assert error.__cause__ is REFUSED_ONCE.error


def test_breaker_of_the_database() -> None:
    world = World(connect=0.01, close=0.0)
    world.failing["a"] = UNREACHABLE
    assert str(shut(world, world.tenant("a"))) == (
        "a: BREAKER_OPEN: connects to database main failed too often, the breaker is open;"
        " waited 0.050 s; retry after 0.100 s; last connect error: no route to host"
    )


def test_connect_failed() -> None:
    world = World(connect=0.01)
    world.failing["a"] = NO_SUCH_DATABASE
    error = shut(world, world.tenant("a"))
    assert str(error) == (
        "a: CONNECT_FAILED: database main refused the connection for a; waited 0.010 s;"
        " retry after 1.000 s; last connect error: database does not exist"
    )
    assert error.__cause__ is NO_SUCH_DATABASE.error


def late(world: World, tenant: Tenant, seconds: float = 3.0) -> Refused:
    """How a request ends that waits for so many seconds in vain."""
    request = world.ask(tenant)
    world.run(seconds)
    return world.expire(request)


@pytest.mark.parametrize(("overflow", "said"), [(0, "2"), (1, "2 (+ 1 overflow)")])
def test_tenant_limit(overflow: int, said: str) -> None:
    world = World(capacity=10)
    a = world.tenant("a", cap=2, overflow=overflow)
    world.lease_all(2 + overflow, a)
    assert str(late(world, a)) == (
        f"a: TENANT_LIMIT: tier basic allows {said} connections; waited 3.000 s;"
        f" held by a: {2 + overflow}; retry after 0.010 s"
    )


def test_database_limit() -> None:
    world = World(capacity=3)
    world.lease_all(1, world.tenant("little"))
    world.lease_all(2, world.tenant("much"))
    assert str(late(world, world.tenant("a"))) == (
        "a: DATABASE_LIMIT: database main has a capacity of 3 connections; waited 3.000 s;"
        " held by much: 2, little: 1; retry after 0.010 s"
    )


def test_connect_timeout() -> None:
    world = World(connect=60.0)
    assert str(late(world, world.tenant("a"))) == (
        "a: CONNECT_TIMEOUT: no connection to a could be opened in time"
        " (1 of 4 connects under way); waited 3.000 s; retry after 0.010 s"
    )


def test_connect_timeout_names_the_failure_it_met() -> None:
    world = World()
    a = world.tenant("a")
    world.lease(a)
    world.failing["a"] = REFUSED_ONCE
    error = late(world, a)
    assert error.reason == Reason.CONNECT_TIMEOUT
    assert error.__cause__ is REFUSED_ONCE.error


def test_a_timeout_is_a_timeout_error_too() -> None:
    world = World()
    assert isinstance(late(world, world.tenant("a", cap=0)), TimeoutError)


def test_a_full_database_is_no_longer_to_blame_once_a_slot_is_on_its_way() -> None:
    world = World(capacity=1, close=60.0)
    world.open_idle(1, world.tenant("idle"))
    world.run(1.0)
    assert late(world, world.tenant("a")).reason == Reason.CONNECT_TIMEOUT


def test_the_largest_holders_are_named_and_not_hundreds() -> None:
    world = World(capacity=100)
    for number in range(10):
        world.lease_all(1 + number % 3, world.tenant(f"t{number}"))
    world.lease_all(81, world.tenant("big", cap=100))
    holders = late(world, world.tenant("a")).holders
    assert list(holders.items())[:3] == [("big", 81), ("t2", 3), ("t5", 3)]
    assert len(holders) == 8


def test_retry_after_is_when_the_queue_will_be_empty() -> None:
    """Little's law: four waiters, two servers, and as long as a lease is held on average."""
    world = World()
    a = world.tenant("a", cap=2, max_waiting=3)
    held = world.lease_all(2, a)
    world.run(10.0)
    world.give_back(*held)
    world.ask_for(2 + 3, a)
    assert a.mean_hold > 1.0
    assert world.refusal(a).retry_after == pytest.approx((3 + 1) * a.mean_hold / 2)


def test_refusals_are_counted_by_reason() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_waiting=1)
    world.lease(a)
    late(world, a)
    world.ask(a)
    world.refusal(a)
    world.refusal(a)
    assert a.counters.refused == {Reason.TENANT_LIMIT: 1, Reason.QUEUE_FULL: 2}


def test_every_reason_has_an_error_of_its_own() -> None:
    exported = [getattr(errors, name) for name in errors.__all__]
    refusals = [kind for kind in exported if issubclass(kind, Refused) and kind is not Refused]
    most_special = [kind for kind in refusals if not kind.__subclasses__()]
    assert sorted(kind.reason for kind in most_special) == sorted(Reason)
