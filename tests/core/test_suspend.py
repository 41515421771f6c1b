"""A suspended tenant is refused with the reason, and what it holds goes by the steps of shrink."""

from __future__ import annotations

from tenantpool.core.limits import TERMINATE
from tenantpool.core.request import GRANTED, REVOKED
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason, TenantSuspended
from tests.core.driver import World, refusal_of, states


def suspend(world: World, tenant: Tenant, why: str = "has not paid") -> None:
    world.perform(world.db.suspend(world.now, tenant, why))


def unsuspend(world: World, tenant: Tenant) -> None:
    world.perform(world.db.unsuspend(world.now, tenant))


def test_waiters_and_requests_are_refused_with_the_reason() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    world.lease(a)
    waiting = world.ask(a)
    suspend(world, a)
    for error in (refusal_of(waiting), world.refusal(a)):
        assert isinstance(error, TenantSuspended)
        assert error.limit == "the tenant is suspended: has not paid"
        assert (error.reason, error.retry_after) == (Reason.TENANT_SUSPENDED, None)
    assert world.answered[-1] is waiting


def test_its_holders_are_asked_and_what_comes_back_is_closed() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease_all(2, a)
    world.open_idle(1, a)
    suspend(world, a)
    world.run(1000.0)
    assert {recall.request for recall in world.recalls} == set(held)
    assert states(held) == [GRANTED] * 2, "its tier only asks"
    world.give_back(*held)
    world.settle()
    assert world.db.used == 0


def test_its_leases_are_ended_if_the_tier_says_so() -> None:
    world = World()
    a = world.tenant("a", shrink=TERMINATE, shrink_grace=5.0)
    held = world.lease_all(2, a)
    suspend(world, a)
    world.run(4.9)
    assert states(held) == [GRANTED] * 2
    world.run(0.2)
    assert states(held) == [REVOKED] * 2
    assert world.db.used == 0


def test_unsuspended_it_is_served_again_and_keeps_what_it_held() -> None:
    world = World()
    a = world.tenant("a", shrink=TERMINATE, shrink_grace=5.0)
    held = world.lease(a)
    suspend(world, a)
    unsuspend(world, a)
    world.run(10.0)
    assert (held.state, world.lease(a).state) == (GRANTED, GRANTED)


def test_a_drain_and_a_suspension_end_each_by_itself() -> None:
    world = World()
    a = world.tenant("a")
    world.perform(world.db.drain(world.now, a))
    suspend(world, a)
    world.db.resume(a)
    assert world.refusal(a).reason == Reason.TENANT_SUSPENDED
    world.perform(world.db.drain(world.now, a))
    unsuspend(world, a)
    assert world.refusal(a).reason == Reason.DRAINING
    world.db.resume(a)
    assert world.lease(a).state == GRANTED


def test_those_who_share_its_pool_are_not_suspended() -> None:
    world = World()
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    world.open_idle(2, y)
    suspend(world, x)
    assert world.ask(y).state == GRANTED
    suspend(world, y)
    world.settle()
    assert x.pool.idle == {}


def test_a_suspended_tenant_is_not_forgotten() -> None:
    world = World()
    a = world.tenant("a", pool_idle=1.0)
    suspend(world, a)
    world.run(5.0)
    world.sweep()
    assert world.db.tenants == {"a": a}


def test_suspended_after_it_was_forgotten_it_is_remembered_as_suspended() -> None:
    world = World()
    a = world.tenant("a", pool_idle=1.0)
    world.run(5.0)
    world.sweep()
    suspend(world, a)
    assert world.refusal(a).reason == Reason.TENANT_SUSPENDED
