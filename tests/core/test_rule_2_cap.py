"""Rule 2: a tenant never holds more than its cap, and never queues more than ``max_waiting``."""

from __future__ import annotations

from tenantpool.core.request import GRANTED, WAITING
from tenantpool.errors import Reason
from tests.core.driver import World, states


def test_a_tenant_holds_its_cap_and_no_more() -> None:
    world = World(capacity=10)
    requests = world.ask_for(4, world.tenant("a", cap=2))
    world.settle()
    assert states(requests) == [GRANTED, GRANTED, WAITING, WAITING]
    assert world.db.used == 2


def test_a_tenant_at_its_cap_gets_the_next_when_it_returns_one() -> None:
    world = World(capacity=10)
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    waiting = world.ask(a)
    world.give_back(held)
    assert waiting.state == GRANTED
    assert world.answered[-1] is waiting


def test_a_tenant_at_its_cap_leaves_the_idle_connections_of_a_shared_pool_alone() -> None:
    world = World(capacity=10)
    x, y = world.tenant("x", "shared", cap=1), world.tenant("y", "shared", cap=5)
    world.open_idle(2, y)
    world.lease(x)
    assert world.ask(x).state == WAITING
    assert len(y.pool.idle) == 1


def test_slots_on_their_way_count_towards_the_cap() -> None:
    world = World(capacity=10)
    a = world.tenant("a", cap=2)
    world.lease(a)
    world.ask_for(3, a)
    assert (a.in_use, a.pending, a.claim) == (1, 1, 2)


def test_max_waiting_requests_wait_and_the_next_is_refused() -> None:
    world = World(capacity=10)
    a = world.tenant("a", cap=1, max_waiting=2)
    held = world.lease(a)
    assert states(world.ask_for(2, a)) == [WAITING, WAITING]
    assert world.refusal(a).reason == Reason.QUEUE_FULL
    world.give_back(held)
    assert world.ask(a).state == WAITING


def test_a_full_queue_is_nobody_elses() -> None:
    world = World(capacity=1)
    x = world.tenant("x", "shared", max_waiting=1)
    world.lease(x)
    world.ask(x)
    assert world.ask(world.tenant("y", "shared", max_waiting=1)).state == WAITING
