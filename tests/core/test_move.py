"""A tenant moves, to another pool or another database, and nobody is refused because of it."""

from __future__ import annotations

from tenantpool.core.request import CANCELLED, GRANTED, NEW, WAITING
from tenantpool.core.slot import GONE
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason
from tests.core.driver import REFUSED_ONCE, World, refusal_of, states


def move(world: World, tenant: Tenant, pool: str, session: object = None) -> None:
    world.perform(world.db.move(world.now, tenant, pool, pool, session))


def relocate(here: World, tenant: Tenant, there: World, **limits: object) -> Tenant:
    """Move *tenant* from one database to another, as a manager does."""
    there.now = max(here.now, there.now)
    requests, actions = here.db.leave(here.now, tenant)
    here.perform(actions)
    arrived = there.tenant(tenant.name, "there", **limits)
    arrived.take_over(tenant)
    there.perform(there.db.arrive(there.now, arrived, requests, tenant.in_use))
    return arrived


def tell(here: World, there: World) -> None:
    """What has ended here counts there no more."""
    for former in here.departed:
        there.perform(there.db.came_home(there.now, there.db.tenants[former.name]))
    here.departed.clear()


# -- to another pool ---------------------------------------------------------------------------


def test_who_waits_goes_along_and_keeps_its_place() -> None:
    world = World(capacity=3)
    a = world.tenant("a", cap=2)
    held = world.lease_all(2, a)
    late = world.ask(a)
    urgent = world.ask(a, priority=1)
    world.run(1.0)
    move(world, a, "other")
    assert states([late, urgent]) == [WAITING, WAITING]
    world.give_back(held[0])
    world.run(0.1)
    assert (urgent.state, late.state) == (GRANTED, WAITING)
    assert urgent.slot is not None
    assert urgent.slot.pool is a.pool is world.db.pools["other"]
    assert a.counters.waits.longest >= 1.0


def test_leases_end_where_they_are_and_count_towards_the_cap_until_then() -> None:
    world = World()
    a = world.tenant("a", cap=2)
    held = world.lease_all(2, a)
    former = a.pool
    move(world, a, "other")
    assert set(world.unparked) == set(held)
    waiting = world.ask(a)
    world.run(1.0)
    assert (waiting.state, a.in_use, former.live) == (WAITING, 2, 2)
    world.give_back(held[0])
    world.run(0.1)
    assert (waiting.state, a.in_use, former.live) == (GRANTED, 2, 1)


def test_the_former_pool_is_closed_and_forgotten_with_its_last_lease() -> None:
    world = World()
    a = world.tenant("a")
    held = world.lease(a)
    world.open_idle(2, a)
    former = a.pool
    move(world, a, "other")
    assert len(world.closes) == 2
    world.run(0.1)
    world.sweep()
    assert world.db.pools["a"] is former
    world.give_back(held)
    world.settle()
    assert "a" not in world.db.pools
    assert held.slot is None


def test_an_empty_pool_is_forgotten_at_once_and_its_breaker_is_kept() -> None:
    world = World()
    a = world.tenant("a")
    world.trip(a)
    world.settle()
    world.failing.clear()
    breaker = a.pool.breaker
    move(world, a, "other")
    assert list(world.db.pools) == ["other"]
    move(world, a, "a")
    assert a.pool.breaker is breaker


def test_a_former_pool_that_others_share_goes_on() -> None:
    world = World()
    x, y = world.tenant("x", "shared"), world.tenant("y", "shared")
    held = world.lease(x)
    world.open_idle(1, y)
    move(world, x, "own")
    world.give_back(held)
    assert len(y.pool.idle) == 2
    assert world.closes == []


def test_connects_that_were_under_way_for_it_are_not_its_own_any_more() -> None:
    world = World()
    a = world.tenant("a")
    waiting = world.ask(a)
    move(world, a, "other")
    assert (a.pending, len(world.opens)) == (1, 2)
    world.settle()
    assert waiting.slot is world.opens[1]
    assert world.opens[0].state == GONE


def test_a_slot_that_is_closed_in_its_favour_stays_its_own() -> None:
    world = World(capacity=1)
    world.open_idle(1, world.tenant("b"))
    a = world.tenant("a")
    waiting = world.ask(a)
    move(world, a, "other")
    assert (a.pending, world.db.connecting) == (1, 1)
    world.settle()
    assert (waiting.state, len(world.opens)) == (GRANTED, 2)


def test_idle_connections_of_the_new_pool_are_lent_at_once() -> None:
    world = World()
    a, b = world.tenant("a", cap=1), world.tenant("b")
    world.open_idle(2, b)
    waiting = world.ask(a)
    move(world, a, "b")
    assert waiting.state == GRANTED


def test_a_lease_that_ends_elsewhere_lets_a_waiter_have_what_is_idle_here() -> None:
    world = World()
    a, b = world.tenant("a", "shared", cap=2), world.tenant("b")
    world.tenant("y", "shared")
    held = world.lease(a)
    others = world.lease_all(2, b)
    move(world, a, "b")
    world.ask(a)
    world.give_back(*others)
    waiting = world.ask(a)
    assert (a.pending, waiting.state, len(b.pool.idle)) == (1, WAITING, 1)
    world.give_back(held)
    assert waiting.state == GRANTED


def test_the_new_pool_warms_up_if_the_former_was_used() -> None:
    world = World()
    a = world.tenant("a", min_size=2)
    world.open_idle(1, a)
    world.settle()
    move(world, a, "other")
    world.settle()
    assert len(a.pool.idle) == 2


def test_behind_an_open_breaker_a_mover_is_refused_as_anybody() -> None:
    world = World()
    b = world.tenant("b")
    world.trip(b)
    a = world.tenant("a")
    waiting = world.ask(a)
    move(world, a, "b")
    assert refusal_of(waiting).reason == Reason.BREAKER_OPEN


def test_a_tenant_that_was_forgotten_is_remembered_where_it_has_moved() -> None:
    world = World()
    a = world.tenant("a", pool_idle=1.0)
    world.run(5.0)
    world.sweep()
    move(world, a, "other")
    assert world.db.pools == {}
    request = world.lease(a)
    assert request.slot is not None
    assert request.slot.pool is world.db.pools["other"]


# -- to another database -----------------------------------------------------------------------


def test_waiters_go_to_the_other_database_with_their_place_and_time() -> None:
    here, there = World(capacity=1), World()
    here.lease(here.tenant("b"))
    a = here.tenant("a")
    first = here.ask(a)
    here.run(1.0)
    urgent = here.ask(a, priority=1)
    here.run(1.0)
    arrived = relocate(here, a, there, cap=1)
    there.settle()
    assert states([first, urgent]) == [WAITING, GRANTED]
    assert (urgent.tenant, first.tenant) == (arrived, arrived)
    assert there.answered == [urgent]
    assert arrived.counters.waits.longest >= 1.0
    assert "a" not in here.db.tenants
    assert here.db.ranking.best() is None


def test_what_it_holds_abroad_counts_towards_its_cap_until_it_ends() -> None:
    here, there = World(), World()
    a = here.tenant("a", cap=2)
    held = here.lease_all(2, a)
    waiting = here.ask_for(2, a)
    arrived = relocate(here, a, there, cap=2)
    there.settle()
    assert states(waiting) == [WAITING, WAITING]
    error = there.expire(there.ask(arrived))
    assert "2 are still out where it was before" in error.limit
    assert error.holders == {"a": 2}
    here.give_back(held[0])
    assert here.departed == [a]
    tell(here, there)
    there.settle()
    assert states(waiting) == [GRANTED, WAITING]
    here.give_back(held[1])
    tell(here, there)
    there.settle()
    assert (states(waiting), arrived.abroad) == ([GRANTED, GRANTED], 0)
    here.settle()
    assert (here.db.used, here.db.pools) == (0, {})


def test_max_waiting_refuses_nobody_who_arrives() -> None:
    here, there = World(capacity=0), World(capacity=0)
    waiting = here.ask_for(3, here.tenant("a"))
    arrived = relocate(here, waiting[0].tenant, there, max_waiting=1)
    assert states(waiting) == [WAITING] * 3
    assert there.refusal(arrived).reason == Reason.QUEUE_FULL


def test_who_gave_up_on_the_way_does_not_arrive() -> None:
    here, there = World(capacity=0), World(capacity=0)
    a = here.tenant("a")
    gone, late, waiting = here.ask_for(3, a)
    requests, actions = here.db.leave(here.now, a)
    here.perform(actions)
    here.cancel(gone)
    assert here.expire(late).waited == 0.0
    arrived = there.tenant("a")
    there.perform(there.db.arrive(0.0, arrived, requests, 0))
    assert (gone.state, list(arrived.queue)) == (CANCELLED, [waiting])


def test_whoever_asks_where_it_has_left_is_sent_on() -> None:
    here, there = World(), World()
    a = here.tenant("a")
    relocate(here, a, there)
    request = here.ask(a)
    assert (here.elsewhere, request.state) == ([request], NEW)
    assert "a" not in here.db.tenants


def test_a_connection_that_is_found_broken_after_it_has_left_is_not_replaced_there() -> None:
    here, there = World(), World()
    a = here.tenant("a")
    request = here.lease(a)
    relocate(here, a, there)
    here.perform(here.db.replace(here.now, request))
    assert (here.elsewhere, here.departed, request.state) == ([request], [a], NEW)


def test_it_comes_back_while_leases_are_still_out() -> None:
    here, there = World(), World()
    a = here.tenant("a", cap=2)
    held = here.lease(a)
    arrived = relocate(here, a, there, cap=2)
    other = there.lease(arrived)
    requests, actions = there.db.leave(there.now, arrived)
    there.perform(actions)
    again = here.tenant("a", "there", cap=2)
    here.perform(here.db.arrive(here.now, again, requests, a.in_use + arrived.in_use))
    waiting = here.ask(again)
    here.run(0.1)
    assert (waiting.state, again is a) == (WAITING, False)
    there.give_back(other)
    assert there.departed == [arrived]
    here.perform(here.db.came_home(here.now, again))
    here.run(0.1)
    assert waiting.state == GRANTED
    here.give_back(held)
    tell(here, here)
    assert again.abroad == 0


def test_it_is_not_forgotten_while_it_holds_leases_elsewhere() -> None:
    here, there = World(), World()
    a = here.tenant("a")
    held = here.lease(a)
    arrived = relocate(here, a, there, pool_idle=1.0)
    there.run(10.0)
    there.sweep()
    assert there.db.tenants == {"a": arrived}
    here.give_back(held)
    tell(here, there)
    there.run(10.0)
    there.sweep()
    assert there.db.tenants == {}


def test_news_of_a_lease_that_come_before_the_tenant_does_count() -> None:
    here, there = World(), World()
    a = here.tenant("a", cap=2)
    held = here.lease(a)
    _, actions = here.db.leave(here.now, a)
    here.perform(actions)
    abroad = a.in_use
    arrived = there.tenant("a", cap=2)
    here.give_back(held)
    tell(here, there)
    there.perform(there.db.arrive(there.now, arrived, [], abroad))
    assert (arrived.abroad, arrived.ceiling) == (0, 2)


def test_one_that_has_left_again_is_told_in_vain() -> None:
    world = World()
    a = world.tenant("a")
    world.lease(a)
    _, actions = world.db.leave(world.now, a)
    world.perform(actions)
    assert world.db.came_home(world.now, a) == ()
    assert a.abroad == 0


def test_those_who_come_to_a_suspended_seat_are_refused_and_told() -> None:
    here, there = World(capacity=0), World()
    a = here.tenant("a")
    waiting = here.ask(a)
    requests, actions = here.db.leave(here.now, a)
    here.perform(actions)
    arrived = there.tenant("a")
    there.perform(there.db.suspend(there.now, arrived, "no"))
    there.perform(there.db.arrive(there.now, arrived, requests, 0))
    assert refusal_of(waiting).reason == Reason.TENANT_SUSPENDED
    assert there.answered == [waiting]


def test_who_failed_to_connect_there_is_refused_for_that() -> None:
    here, there = World(capacity=0), World()
    waiting = here.ask(here.tenant("a"))
    there.failing["there"] = REFUSED_ONCE
    relocate(here, waiting.tenant, there)
    there.settle()
    assert refusal_of(waiting).__cause__ is REFUSED_ONCE.error


def test_repr_says_that_it_has_left() -> None:
    here, there = World(), World()
    a = here.tenant("a")
    relocate(here, a, there)
    assert repr(a) == "<Tenant a (basic) left: 0 of 5 in use, 0 pending, 0 waiting>"
