"""A tenant that nobody has asked for is forgotten, and remembered as soon as somebody does."""

from __future__ import annotations

from tenantpool.core.actions import Forgotten
from tenantpool.core.request import GRANTED
from tenantpool.errors import Reason
from tests.core.driver import World


def test_a_tenant_is_forgotten_after_pool_idle() -> None:
    world = World()
    a = world.tenant("a", pool_idle=100.0)
    world.run(100.0)
    assert world.db.sweep(world.now, a.pool) == ()
    world.run(0.1)
    assert world.db.sweep(world.now, a.pool) == [Forgotten(a)]
    assert (world.db.tenants, world.db.pools) == ({}, {})


def test_a_forgotten_tenant_that_was_looked_up_before_is_remembered() -> None:
    world = World()
    a = world.tenant("a", pool_idle=100.0)
    world.run(101.0)
    world.sweep()
    request = world.lease(a)
    assert request.state == GRANTED
    assert request.tenant is world.db.tenants["a"] is not a
    assert (request.tenant.limits, request.tenant.pool) == (a.limits, a.pool)
    assert list(a.pool.tenants) == [request.tenant]


def test_remembered_while_everything_closes_it_is_refused() -> None:
    world = World()
    a = world.tenant("a", pool_idle=100.0)
    world.run(101.0)
    world.sweep()
    world.perform(world.db.shutdown(world.now))
    assert world.refusal(a).reason == Reason.DRAINING


def test_a_tenant_is_new_after_it_was_forgotten() -> None:
    world = World()
    a = world.tenant("a", pool_idle=100.0)
    world.run(101.0)
    world.sweep()
    assert world.tenant("a", cap=1).limits.cap == 1
    assert a.forgotten


def test_who_shares_a_pool_with_others_is_forgotten_alone() -> None:
    world = World()
    x = world.tenant("x", "shared", pool_idle=100.0, min_size=3, max_lifetime=10.0)
    y = world.tenant("y", "shared", pool_idle=100.0)
    world.run(60.0)
    held = world.lease(y)
    world.run(60.0)
    world.sweep()
    assert world.db.tenants == {"y": y}
    assert list(y.pool.tenants) == [y]
    assert (y.pool.min_size, y.pool.cap, y.pool.max_lifetime) == (0, 5, 3600.0)
    assert held.state == GRANTED
    assert x.forgotten


def test_nobody_is_forgotten_who_holds_or_waits_or_is_drained() -> None:
    world = World(capacity=1)
    holder, waiter, drained = (world.tenant(name, pool_idle=1.0) for name in "hwd")
    world.lease(holder)
    world.ask(waiter)
    world.perform(world.db.drain(world.now, drained))
    world.run(5.0)
    world.sweep()
    assert list(world.db.tenants.values()) == [holder, waiter, drained]


def test_the_last_of_a_pool_stays_until_its_connections_are_gone() -> None:
    world = World()
    x, y = (world.tenant(name, "shared", pool_idle=1.0) for name in "xy")
    world.open_idle(1, x)
    world.run(5.0)
    world.sweep()
    assert len(world.db.tenants) == 1
    assert y.forgotten != x.forgotten
    world.settle()
    world.sweep()
    assert world.db.tenants == {}
