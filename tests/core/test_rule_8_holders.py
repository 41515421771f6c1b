"""Rule 8: a holder that went away leaves no slot behind, and its connection is lent on clean."""

from __future__ import annotations

from tenantpool.core.request import GRANTED, REVOKED, WAITING
from tenantpool.core.slot import CLOSING, GONE, IDLE, RESETTING
from tests.core.driver import World


def test_a_cancelled_holder_gives_its_connection_back() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    waiting = world.ask(a)
    world.cancel(held)
    assert waiting.state == GRANTED


def test_a_waiter_cancelled_while_its_connect_is_under_way_leaves_it_idle() -> None:
    world = World()
    a = world.tenant("a")
    world.cancel(world.ask(a))
    world.settle()
    assert [slot.state for slot in world.opens] == [IDLE]
    assert a.is_idle


def test_a_waiter_cancelled_while_a_slot_is_moved_to_it_leaves_it_free() -> None:
    world = World(capacity=1)
    world.open_idle(1, world.tenant("a"))
    world.run(1.0)
    b = world.tenant("b")
    world.cancel(world.ask(b))
    world.settle()
    assert world.db.used == world.db.connecting == 0
    assert b.is_idle


def test_a_broken_connection_is_closed_and_the_next_gets_a_new_one() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    broken = held.slot
    waiting = world.ask(a)
    world.give_back(held, healthy=False)
    world.settle()
    assert broken is not None
    assert broken.state == GONE
    assert waiting.slot not in (None, broken)
    assert a.counters.lost == 1


def test_a_revoked_lease_ends_its_connection_and_frees_the_slot() -> None:
    world = World(capacity=1)
    a = world.tenant("a")
    held = world.lease(a)
    waiting = world.ask(world.tenant("b"))
    world.run(5.0)
    world.perform(world.db.revoke(world.now, held))
    assert held.state == REVOKED
    assert [(close.slot.state, close.revoked) for close in world.closes] == [(CLOSING, True)]
    assert waiting.state == WAITING
    world.settle()
    assert waiting.state == GRANTED
    (told,) = world.told("revoked")
    assert (told["tenant"], a.counters.revoked) == ("a", 1)


def test_a_session_is_wiped_before_the_next_gets_it() -> None:
    world = World()
    a = world.tenant("a", cap=1, reset_always=True)
    held = world.lease(a)
    slot = held.slot
    waiting = world.ask(a)
    world.give_back(held)
    assert [s.state for s in world.resets] == [RESETTING]
    assert waiting.state == WAITING
    world.settle()
    assert waiting.slot is slot is not None
    assert slot.tenant is None, "a wiped session belongs to nobody"


def test_a_session_that_could_not_be_wiped_is_closed() -> None:
    world = World()
    a = world.tenant("a", cap=1, reset_always=True)
    held = world.lease(a)
    waiting = world.ask(a)
    world.dirty = True
    world.give_back(held)
    world.settle()
    assert world.resets[0].state == GONE
    assert waiting.slot is world.opens[1]


def test_a_lease_can_ask_for_its_session_to_be_wiped() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    slot = held.slot
    waiting = world.ask(a)
    held.wipe = True
    world.give_back(held)
    assert [s.state for s in world.resets] == [RESETTING]
    assert waiting.state == WAITING
    world.settle()
    assert waiting.slot is slot is not None
    world.give_back(waiting)
    assert len(world.resets) == 1, "one lease asked, not the next"


def test_a_session_to_be_wiped_is_closed_where_that_is_less() -> None:
    world = World()
    a = world.tenant("a")
    broken, late = world.lease_all(2, a)
    broken.wipe = late.wipe = True
    world.give_back(broken, healthy=False)
    world.perform(world.db.drain(world.now, a))
    world.give_back(late)
    assert world.resets == []
    assert [close.revoked for close in world.closes] == [False, False]


def test_a_session_is_not_wiped_where_nobody_asked_for_it() -> None:
    world = World()
    world.open_idle(1, world.tenant("a"))
    assert world.resets == []
