"""Rule 4: guarantees first, then the lowest claim and the least slot time per weight."""

from __future__ import annotations

import pytest

from tenantpool.core.request import GRANTED, WAITING, Request
from tenantpool.core.tenant import Tenant
from tests.core.driver import World


def test_a_tenant_below_its_guarantee_goes_first() -> None:
    world = World(capacity=3)
    rich, poor = world.tenant("rich", weight=100), world.tenant("poor", weight=0.1, guarantee=2)
    held = world.lease_all(2, rich)
    world.lease(poor)
    waiting = world.ask(rich)
    world.run(1.0)
    request = world.ask(poor)
    world.give_back(held[0])
    world.settle()
    assert (request.state, waiting.state) == (GRANTED, WAITING)


def test_above_its_guarantee_only_the_weight_counts() -> None:
    world = World(capacity=3)
    rich, poor = world.tenant("rich", weight=100), world.tenant("poor", weight=0.1, guarantee=1)
    held = world.lease_all(2, rich)
    world.lease(poor)
    request = world.ask(poor)
    waiting = world.ask(rich)
    world.run(1.0)
    world.give_back(held[0])
    world.settle()
    assert (request.state, waiting.state) == (WAITING, GRANTED)


def take_turns(world: World, requests: list[Request], turns: int) -> None:
    """Whoever has held a connection for longest gives it back, again and again."""
    for _ in range(turns):
        world.give_back(min((r for r in requests if r.slot), key=lambda r: r.granted_at))
        world.run(0.05)


def test_shares_are_as_the_weights() -> None:
    world = World(capacity=8, quantum_factor=0.0)
    gold, base = world.tenant("gold", cap=8, weight=3), world.tenant("base", cap=8, weight=1)
    requests = world.ask_for(60, base)
    world.settle()
    requests += world.ask_for(60, gold)
    take_turns(world, requests, 40)
    assert (gold.in_use, base.in_use) == (6, 2)


def test_a_slot_on_its_way_is_part_of_the_claim() -> None:
    world = World(connect=1.0, connect_concurrency=2)
    a, b = world.tenant("a"), world.tenant("b")
    world.ask(world.tenant("c"))
    world.run(0.5)
    world.ask_for(2, a)
    world.ask(b)
    world.run(0.6)
    assert [slot.pool.name for slot in world.opens] == ["c", "a", "b"]


def test_ties_go_to_who_has_waited_longest() -> None:
    world = World(capacity=1)
    late, early = world.tenant("late"), world.tenant("early")
    held = world.lease(world.tenant("holder"))
    first = world.ask(early)
    world.run(1.0)
    second = world.ask(late)
    world.give_back(held)
    world.settle()
    assert (first.state, second.state) == (GRANTED, WAITING)


def one_slot_for_all(world: World, times: dict[Tenant, float], turns: int) -> None:
    """All of them wait; whoever gets the slot holds it for its time."""
    for tenant in times:
        world.ask_for(turns - len(tenant.queue), tenant)
    for _ in range(turns):
        (held,) = (slot.request for slot in world.db.slots)
        assert held is not None
        world.run(times[held.tenant])
        world.give_back(held)
        world.run(0.02)


def test_where_more_wait_than_there_are_slots_slot_time_is_as_the_weights() -> None:
    world = World(capacity=1, quantum_factor=0.0)
    slow, quick = world.tenant("slow"), world.tenant("quick")
    heavy = world.tenant("heavy", weight=2)
    world.lease(slow)
    one_slot_for_all(world, {slow: 0.3, quick: 0.1, heavy: 0.2}, 100)
    assert slow.counters.held == pytest.approx(quick.counters.held, rel=0.1)
    assert heavy.counters.held == pytest.approx(2 * quick.counters.held, rel=0.1)


def test_slot_time_does_not_count_while_nobody_waits() -> None:
    world = World(capacity=1)
    a = world.tenant("a")
    held = world.lease(a)
    world.run(100.0)
    world.give_back(held)
    held = world.lease(world.tenant("holder"))
    first = world.ask(a)
    world.run(1.0)
    world.ask(world.tenant("b"))
    world.give_back(held)
    world.settle()
    assert first.state == GRANTED


def test_slot_time_that_was_not_used_is_saved_up_for_a_second_at_most() -> None:
    world = World(capacity=1, quantum_factor=0.0)
    a, b, absent = world.tenant("a"), world.tenant("b"), world.tenant("absent")
    world.lease(a)
    one_slot_for_all(world, {a: 0.5, b: 0.5}, 60)
    one_slot_for_all(world, {a: 0.5, b: 0.5, absent: 0.5}, 12)
    assert absent.counters.held == pytest.approx((12 * 0.5 + 2 * 1.0) / 3, abs=0.6)


def test_inside_a_tenant_priority_goes_first_and_then_who_came_first() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    low = world.ask(a)
    urgent = [world.ask(a, priority=1) for _ in range(2)]
    last = world.ask(a)
    for _ in range(4):
        world.give_back(held)
        held = world.answered[-1]
    assert world.answered[1:] == [*urgent, low, last]


def test_priority_counts_inside_a_tenant_only() -> None:
    world = World(capacity=2)
    a, b = world.tenant("a"), world.tenant("b")
    held = world.lease(world.tenant("holder"))
    world.lease(a)
    urgent = world.ask(a, priority=9)
    fair = world.ask(b)
    world.run(1.0)
    world.give_back(held)
    world.settle()
    assert (urgent.state, fair.state) == (WAITING, GRANTED)


def test_a_slot_that_is_free_goes_to_whoever_deserves_it_by_then() -> None:
    """It was closed in favour of another, who has to wait for the next."""
    world = World(capacity=1, close=0.1)
    world.open_idle(1, world.tenant("idle"))
    world.run(1.0)
    heir = world.ask(world.tenant("heir"))
    better = world.ask(world.tenant("better", guarantee=1))
    world.settle()
    assert (heir.state, better.state) == (WAITING, GRANTED)
