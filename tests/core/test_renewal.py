"""A pool's connections are replaced by new ones, one by one, and nobody fails in between."""

from __future__ import annotations

from tenantpool.core.breaker import OPEN
from tenantpool.core.request import GRANTED, WAITING
from tenantpool.core.slot import CLOSING, GONE, Slot
from tenantpool.core.tenant import Tenant
from tests.core.driver import REFUSED_ONCE, World, states


def renew(world: World, tenant: Tenant) -> set[Slot]:
    """Return what is to be replaced."""
    old = set(tenant.pool.slots)
    world.perform(world.db.renew(world.now, tenant.pool))
    return old


def test_idle_connections_are_replaced_one_by_one_the_new_one_first() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(3, a)
    old = renew(world, a)
    fewest = 3
    for _ in range(60):
        fewest = min(fewest, len(a.pool.idle))
        assert world.opening(a) <= 1
        world.run(0.001)
    assert fewest == 3
    assert {slot.state for slot in old} == {GONE}
    assert (len(a.pool.idle), a.pool.renewal) == (3, None)


def test_leases_serve_on_and_close_as_they_return() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease_all(2, a)
    renew(world, a)
    world.run(1.0)
    assert states(held) == [GRANTED, GRANTED]
    assert (len(a.pool.idle), world.closes) == (1, [])
    world.give_back(held[0])
    world.run(1.0)
    world.give_back(held[1])
    world.run(1.0)
    assert (len(world.closes), len(a.pool.idle), a.pool.renewal) == (2, 2, None)


def test_what_returns_before_a_new_one_is_there_serves_on() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    waiting = world.ask(a)
    renew(world, a)
    world.give_back(held)
    assert waiting.state == GRANTED


def test_parameters_that_do_not_work_cost_nobody_a_connection() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(2, a)
    world.failing["a"] = REFUSED_ONCE
    renew(world, a)
    world.run(10.0)
    assert a.pool.breaker.state == OPEN
    leases = world.ask_for(2, a)
    waiting = world.ask(a)
    assert states([*leases, waiting]) == [GRANTED, GRANTED, WAITING]
    world.give_back(leases[0])
    assert waiting.state == GRANTED
    world.failing.clear()
    world.give_back(waiting, leases[1])
    world.run(60.0)
    assert a.pool.renewal is None


def test_in_a_full_database_one_idle_connection_goes_first() -> None:
    world = World(capacity=3)
    a = world.tenant("a")
    world.open_idle(3, a)
    renew(world, a)
    fewest = 3
    for _ in range(100):
        fewest = min(fewest, a.pool.open)
        assert world.db.used <= 3
        world.run(0.001)
    assert (fewest, len(a.pool.idle), a.pool.renewal) == (2, 3, None)


def test_in_a_full_database_parameters_that_do_not_work_cost_one_connection() -> None:
    world = World(capacity=3)
    a = world.tenant("a")
    world.open_idle(3, a)
    world.failing["a"] = REFUSED_ONCE
    renew(world, a)
    world.run(100.0)
    assert len(a.pool.idle) == 2


def test_where_all_is_held_and_somebody_waits_one_at_a_time_is_replaced() -> None:
    world = World(capacity=3)
    a = world.tenant("a", cap=3)
    held = world.lease_all(3, a)
    old = renew(world, a)
    waiting = world.ask_for(3, a)
    world.give_back(*held)
    assert [slot.state for slot in old].count(CLOSING) == 1
    assert states(waiting) == [GRANTED, GRANTED, WAITING]
    world.run(0.02)
    assert states(waiting) == [GRANTED] * 3
    world.give_back(*waiting)
    world.run(1.0)
    assert (a.pool.renewal, len(a.pool.idle)) == (None, 3)
    assert {slot.state for slot in old} == {GONE}


def test_the_only_connection_of_a_pool_in_a_full_database_is_replaced() -> None:
    world = World(capacity=1)
    a = world.tenant("a")
    world.open_idle(1, a)
    renew(world, a)
    world.run(1.0)
    assert (len(world.opens), len(a.pool.idle), a.pool.renewal) == (2, 1, None)


def test_connects_that_have_begun_count_as_of_before() -> None:
    world = World()
    a = world.tenant("a")
    waiting = world.ask(a)
    renew(world, a)
    world.run(1.0)
    assert waiting.slot is world.opens[0]
    assert len(world.opens) == 2
    world.give_back(waiting)
    assert len(world.closes) == 1


def test_an_empty_pool_has_nothing_to_replace() -> None:
    world = World()
    a = world.tenant("a")
    renew(world, a)
    assert (a.pool.renewal, world.opens) == (None, [])


def test_a_second_renewal_begins_anew() -> None:
    world = World()
    a = world.tenant("a")
    world.open_idle(2, a)
    renew(world, a)
    world.run(0.011)
    old = renew(world, a)
    left = sum(slot.state != CLOSING for slot in old)
    assert repr(a.pool.renewal) == f"<Renewal {left} left, 1 opening>"
    world.run(1.0)
    assert {slot.state for slot in old} == {GONE}
    assert len(a.pool.idle) == 3, "that which was on its way is one more"


def test_nothing_is_renewed_for_a_tenant_that_is_drained() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    world.perform(world.db.drain(world.now, a))
    renew(world, a)
    world.run(1.0)
    assert len(world.opens) == 1
    world.give_back(held)
    world.settle()
    assert world.db.used == 0


def test_who_waits_elsewhere_goes_before_a_renewal() -> None:
    world = World(capacity=2, connect_concurrency=1)
    a, b = world.tenant("a"), world.tenant("b")
    world.open_idle(1, a)
    waiting = world.ask_for(2, b)
    renew(world, a)
    world.settle()
    assert GRANTED in states(waiting)
