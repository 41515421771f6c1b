"""Drain, resume, evict and shut down."""

from __future__ import annotations

from tenantpool.core.request import GRANTED
from tenantpool.core.slot import GONE
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason
from tests.core.driver import World, refusal_of


def drain(world: World, tenant: Tenant) -> None:
    world.perform(world.db.drain(world.now, tenant))


def shut_down(world: World) -> None:
    world.perform(world.db.shutdown(world.now))


def test_a_drained_tenant_is_refused_whether_it_waits_or_asks() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    world.lease(a)
    waiting = world.ask(a)
    drain(world, a)
    assert refusal_of(waiting).reason == Reason.DRAINING
    assert world.answered[-1] is waiting
    assert world.refusal(a).reason == Reason.DRAINING


def test_its_idle_connections_close_now_and_the_others_as_they_return() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease_all(2, a)
    world.give_back(held[0])
    drain(world, a)
    world.settle()
    assert (a.in_use, world.db.used) == (1, 1)
    world.give_back(held[1])
    world.settle()
    assert world.db.used == 0


def test_nobody_goes_on_with_a_lease_of_a_drained_tenant_but_nobody_is_hurried() -> None:
    world = World()
    a, b = world.tenant("a"), world.tenant("b")
    held = world.lease_all(2, a)
    world.lease(b)
    drain(world, a)
    assert set(world.unparked) == set(held)
    assert not world.recalls


def test_a_connect_that_was_under_way_is_closed() -> None:
    world = World()
    a = world.tenant("a")
    world.ask(a)
    drain(world, a)
    world.settle()
    assert [slot.state for slot in world.opens] == [GONE]


def test_a_drain_is_nobody_elses() -> None:
    world = World()
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    world.open_idle(2, y)
    drain(world, x)
    assert len(y.pool.idle) == 2
    assert world.ask(y).state == GRANTED


def test_what_a_drained_tenant_returns_to_a_shared_pool_is_closed() -> None:
    world = World()
    x = world.tenant("x", "shared")
    world.tenant("y", "shared")
    held = world.lease(x)
    drain(world, x)
    world.give_back(held)
    assert len(world.closes) == 1


def test_a_shared_pool_is_empty_when_all_its_tenants_are_drained() -> None:
    world = World()
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    world.open_idle(2, y)
    drain(world, x)
    drain(world, y)
    world.settle()
    assert world.db.used == 0


def test_a_shared_pool_is_empty_when_those_not_drained_are_forgotten() -> None:
    world = World()
    a = world.tenant("a", "shared", pool_idle=3600.0)
    b = world.tenant("b", "shared", pool_idle=60.0)
    world.open_idle(1, b)
    world.perform(world.db.drain(world.now, a))
    world.run(61.0)
    world.sweep()
    world.settle()
    assert list(a.pool.tenants) == [a]
    assert world.db.used == 0


def test_resumed_it_is_served_again() -> None:
    world = World()
    a = world.tenant("a")
    drain(world, a)
    world.db.resume(a)
    world.give_back(world.lease(a))
    assert len(a.pool.idle) == 1


def test_evict_closes_what_is_idle_and_nothing_else() -> None:
    world = World()
    a, b = world.tenant("a"), world.tenant("b")
    held = world.lease_all(3, a)
    world.give_back(*held[:2])
    world.open_idle(1, b)
    world.perform(world.db.evict(world.now, a))
    world.settle()
    assert (len(a.pool.idle), a.in_use, len(b.pool.idle)) == (0, 1, 1)
    assert world.ask(a).error is None


def test_shut_down_everybody_is_refused_and_every_connection_closed() -> None:
    world = World(capacity=2)
    a, b = world.tenant("a"), world.tenant("b")
    held = world.lease_all(2, a)
    waiting = world.ask(b)
    world.give_back(held[0])
    shut_down(world)
    assert refusal_of(waiting).reason == Reason.DRAINING
    for tenant in (a, b, world.tenant("new")):
        assert world.refusal(tenant).reason == Reason.DRAINING
    world.give_back(held[1])
    world.settle()
    assert world.db.used == 0


def test_a_resumed_tenant_stays_refused_after_a_shutdown() -> None:
    world = World()
    a = world.tenant("a")
    shut_down(world)
    world.db.resume(a)
    assert world.refusal(a).limit == "the manager is closing"
