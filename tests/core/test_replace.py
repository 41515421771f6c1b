"""A connection that is found broken before its first use is replaced, and its place kept."""

from __future__ import annotations

from tenantpool.core.request import GRANTED, REFUSED, WAITING, Request
from tenantpool.errors import Reason
from tests.core.driver import World, refusal_of


def find_broken(world: World, request: Request) -> None:
    world.perform(world.db.replace(world.now, request))


def test_it_waits_for_another_connection() -> None:
    world = World()
    request = world.lease(world.tenant("a"))
    broken = request.slot
    find_broken(world, request)
    assert request.state == WAITING
    world.settle()
    assert request.state == GRANTED
    assert [slot.slot for slot in world.closes] == [broken]


def test_it_keeps_its_place_in_the_queue() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    first = world.lease(a)
    world.run(1.0)
    second = world.ask(a)
    find_broken(world, first)
    world.settle()
    assert (first.state, second.state) == (GRANTED, WAITING)


def test_another_idle_connection_is_tried_at_once() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(2, a)
    request = world.lease(a)
    find_broken(world, request)
    assert request.state == GRANTED
    assert len(world.opens) == 2


def test_it_counts_as_one_request_and_one_lease() -> None:
    world = World()
    a = world.tenant("a")
    request = world.lease(a)
    find_broken(world, request)
    world.settle()
    assert (a.counters.requests, a.counters.leases, a.counters.lost) == (1, 1, 1)
    assert a.in_use == 1


def test_of_a_tenant_that_is_being_drained_it_is_refused() -> None:
    world = World()
    a = world.tenant("a")
    request = world.lease(a)
    world.perform(world.db.drain(world.now, a))
    find_broken(world, request)
    assert refusal_of(request).reason == Reason.DRAINING


def test_where_nobody_may_connect_it_is_refused() -> None:
    world = World()
    a = world.tenant("a")
    request = world.lease(a)
    world.trip(a)
    find_broken(world, request)
    assert request.state == REFUSED
    assert refusal_of(request).reason == Reason.BREAKER_OPEN
    assert refusal_of(request).waited == world.now


def test_where_the_queue_is_full_it_is_refused() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_waiting=1)
    request = world.lease(a)
    world.ask(a)
    find_broken(world, request)
    assert refusal_of(request).reason == Reason.QUEUE_FULL
