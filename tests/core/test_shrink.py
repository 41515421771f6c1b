"""A limit is lowered below what is in use: stop granting, evict, recall, terminate."""

from __future__ import annotations

import pytest

from tenantpool.core.limits import RECALL, RETURN, STEPS, TERMINATE
from tenantpool.core.request import GRANTED, RETURNED, REVOKED, WAITING, Request
from tenantpool.core.tenant import Tenant
from tests.core.driver import World, states


def asked(world: World) -> list[Request]:
    """Whose leases have been asked for, in that order."""
    return [recall.request for recall in world.recalls]


def lease_one_by_one(world: World, count: int, tenant: Tenant) -> list[Request]:
    """Leases of different age, the oldest first."""
    leases = []
    for _ in range(count):
        leases.append(world.lease(tenant))
        world.run(0.1)
    return leases


def set_capacity(world: World, capacity: int) -> None:
    world.perform(world.db.set_capacity(world.now, capacity))


# -- a tenant ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shrink", STEPS)
def test_above_a_lowered_cap_nothing_is_granted(shrink: str) -> None:
    world = World()
    a = world.tenant("a", cap=3, shrink=shrink)
    held = world.lease_all(3, a)
    world.change(a, cap=1)
    waiting = world.ask(a)
    world.give_back(*held[:2])
    world.run(0.1)
    assert (waiting.state, a.in_use, a.over) == (WAITING, 1, 0)
    world.give_back(held[2])
    assert waiting.state == GRANTED


def test_idle_connections_above_a_lowered_cap_close_at_once_and_no_others() -> None:
    world = World()
    a = world.tenant("a", cap=6)
    held = world.lease_all(6, a)
    world.give_back(*held[2:])
    world.change(a, cap=5)
    assert len(world.closes) == 1
    world.change(a, cap=3, min_size=2)
    assert len(world.closes) == 3
    world.change(a, min_size=0)
    assert (len(world.closes), len(a.pool.idle)) == (3, 1)


def test_all_holders_are_asked_once_with_a_deadline() -> None:
    world = World()
    a = world.tenant("a", cap=3)
    held = world.lease_all(3, a)
    now = world.now
    world.change(a, cap=2, shrink_grace=7.0)
    assert set(asked(world)) == set(held)
    assert {recall.deadline for recall in world.recalls} == {now + 7.0}
    assert world.recalls[0].why == "tier basic allows 2 connections"
    world.change(a, cap=2)
    world.run(5.0)
    assert len(world.recalls) == 3
    assert world.told("shrinking") == [
        {"tenant": "a", "from": 3, "to": 2, "above": 1, "within": 7.0}
    ]


def test_at_the_deadline_as_many_as_are_above_are_ended_the_youngest_first() -> None:
    world = World()
    a = world.tenant("a", cap=4, shrink=TERMINATE, shrink_grace=5.0)
    held = lease_one_by_one(world, 4, a)
    world.change(a, cap=1)
    world.run(2.0)
    world.give_back(held[3])
    world.run(2.9)
    assert states(held) == [GRANTED, GRANTED, GRANTED, RETURNED]
    world.run(0.2)
    assert states(held) == [GRANTED, REVOKED, REVOKED, RETURNED]
    assert world.told("shrunk") == [{"tenant": "a", "to": 1, "returned": 1, "terminated": 2}]
    assert a.shrink is None


@pytest.mark.parametrize(("shrink", "recalls"), [(RETURN, 0), (RECALL, 3)])
def test_the_tier_says_how_far_it_goes(shrink: str, recalls: int) -> None:
    world = World()
    a = world.tenant("a", cap=3, shrink=shrink)
    held = world.lease_all(3, a)
    world.change(a, cap=1)
    world.run(1000.0)
    assert states(held) == [GRANTED] * 3
    assert len(world.recalls) == recalls
    assert len(world.unparked) == 3 - recalls
    world.give_back(*held[1:])
    assert world.told("shrunk") == [{"tenant": "a", "to": 1, "returned": 2, "terminated": 0}]


def test_growth_overtakes_a_shrink_and_nobody_is_ended() -> None:
    world = World()
    a = world.tenant("a", cap=3, shrink=TERMINATE, shrink_grace=5.0)
    held = world.lease_all(3, a)
    world.change(a, cap=1)
    world.run(1.0)
    world.change(a, cap=3)
    assert len(world.told("shrunk")) == 1
    world.run(10.0)
    assert states(held) == [GRANTED] * 3


def test_growth_on_the_way_ends_fewer_and_leaves_the_deadline() -> None:
    world = World()
    a = world.tenant("a", cap=3, shrink=TERMINATE, shrink_grace=5.0)
    held = lease_one_by_one(world, 3, a)
    world.change(a, cap=1)
    world.run(4.0)
    world.change(a, cap=2)
    world.run(1.0)
    assert states(held) == [GRANTED, GRANTED, REVOKED]
    assert len(world.recalls) == 3


def test_a_further_shrink_gives_everybody_all_the_time_again() -> None:
    world = World()
    a = world.tenant("a", cap=3, shrink=TERMINATE, shrink_grace=5.0)
    held = lease_one_by_one(world, 3, a)
    world.change(a, cap=2)
    world.run(4.0)
    world.change(a, cap=1)
    assert len(world.recalls) == 6
    world.run(4.0)
    assert states(held) == [GRANTED] * 3
    world.run(1.0)
    assert states(held) == [GRANTED, REVOKED, REVOKED]


def test_a_harsher_tier_begins_anew_and_a_softer_one_ends_nobody() -> None:
    world = World()
    a = world.tenant("a", cap=2, shrink=RECALL, shrink_grace=5.0)
    held = lease_one_by_one(world, 2, a)
    world.change(a, cap=1)
    world.run(20.0)
    world.change(a, shrink=TERMINATE)
    world.run(4.0)
    world.change(a, shrink=RECALL)
    world.run(20.0)
    assert states(held) == [GRANTED] * 2
    world.change(a, shrink=TERMINATE)
    world.run(5.0)
    assert states(held) == [GRANTED, REVOKED]


def test_repr_says_how_far_it_has_come() -> None:
    world = World()
    a = world.tenant("a", cap=2)
    held = world.lease_all(2, a)
    world.change(a, cap=1)
    assert repr(a.shrink) == "<Shrink of a to 1: 2 of 2 out>"
    set_capacity(world, 1)
    assert repr(world.db._shrinks[None]) == "<Shrink of the capacity to 1: 1 of 1 out>"
    world.give_back(*held)


# -- the capacity ------------------------------------------------------------------------------


def test_above_a_lowered_capacity_nothing_is_opened_until_there_is_room() -> None:
    world = World(capacity=4)
    a, b = world.tenant("a"), world.tenant("b")
    held = world.lease_all(4, a)
    set_capacity(world, 2)
    waiting = world.ask(b)
    most = world.db.used
    for lease in held:
        world.give_back(lease)
        world.run(0.005)
        assert world.db.used <= most
        most = world.db.used
    world.settle()
    assert (world.db.used, waiting.state) == (2, GRANTED)


def test_idle_connections_go_before_anybody_is_asked() -> None:
    world = World(capacity=4)
    a, b = world.tenant("a"), world.tenant("b")
    world.lease_all(2, a)
    world.open_idle(2, b)
    set_capacity(world, 2)
    world.settle()
    assert (world.recalls, world.db.used, world.told("shrinking")) == ([], 2, [])


def test_as_many_are_asked_as_have_to_go() -> None:
    world = World(capacity=5)
    held = lease_one_by_one(world, 5, world.tenant("a"))
    set_capacity(world, 3)
    assert asked(world) == [held[4], held[3]]
    assert world.told("shrinking") == [{"from": 5, "to": 3, "above": 2, "within": 30.0}]
    set_capacity(world, 2)
    assert asked(world) == [held[4], held[3], held[2]]


def test_who_has_most_per_weight_above_its_guarantee_gives_first() -> None:
    world = World(capacity=12)
    light = lease_one_by_one(world, 4, world.tenant("light"))
    heavy = lease_one_by_one(world, 4, world.tenant("heavy", weight=4.0))
    safe = lease_one_by_one(world, 4, world.tenant("safe", guarantee=3))
    set_capacity(world, 8)
    assert asked(world) == [light[3], light[2], light[1], light[0]]
    set_capacity(world, 7)
    assert asked(world)[4:] == [heavy[3]]
    set_capacity(world, 6)
    assert asked(world)[5:] == [safe[3]]


def test_leases_of_a_tier_that_only_waits_are_left_alone() -> None:
    world = World(capacity=4)
    patient = lease_one_by_one(world, 3, world.tenant("patient", shrink=RETURN))
    other = world.lease(world.tenant("other", shrink=TERMINATE, shrink_grace=5.0))
    set_capacity(world, 1)
    assert asked(world) == [other]
    world.run(100.0)
    assert states(patient) == [GRANTED] * 3
    assert other.state == REVOKED
    world.give_back(*patient)
    world.settle()
    assert world.told("shrunk") == [{"to": 1, "returned": 0, "terminated": 1}]


def test_at_the_deadline_a_lease_is_ended_only_if_the_capacity_is_still_exceeded() -> None:
    world = World(capacity=4)
    held = lease_one_by_one(world, 4, world.tenant("a", shrink=TERMINATE, shrink_grace=5.0))
    set_capacity(world, 2)
    world.run(1.0)
    world.give_back(held[0])  # nobody had asked for it
    world.run(5.0)
    assert states(held) == [RETURNED, GRANTED, GRANTED, REVOKED]
    assert world.told("shrunk")[0]["terminated"] == 1


def test_who_does_not_give_back_is_passed_over_for_others() -> None:
    world = World(capacity=4)
    deaf = lease_one_by_one(world, 3, world.tenant("deaf", shrink=RECALL, shrink_grace=5.0))
    other = world.lease(world.tenant("other", shrink=TERMINATE, shrink_grace=5.0))
    set_capacity(world, 3)
    assert asked(world) == [deaf[2]]
    world.run(5.0)
    assert asked(world)[1:] == [deaf[1]]
    world.run(10.0)
    assert asked(world)[2:] == [deaf[0], other]
    world.run(6.0)
    assert (other.state, world.db.used) == (REVOKED, 3)


def test_whoever_has_been_asked_is_not_asked_again_for_a_further_shrink() -> None:
    world = World(capacity=4)
    a = world.tenant("a")
    patient = world.lease_all(3, world.tenant("patient", shrink=RETURN))
    held = world.lease(a)
    set_capacity(world, 3)
    world.run(10.0)
    set_capacity(world, 2)
    assert asked(world) == [held]
    assert [told["within"] for told in world.told("shrinking")] == [30.0, 20.0]
    world.give_back(held, *patient)


def test_a_capacity_that_grows_again_ends_nobody() -> None:
    world = World(capacity=3)
    held = world.lease_all(3, world.tenant("a", shrink=TERMINATE, shrink_grace=5.0))
    set_capacity(world, 1)
    world.run(1.0)
    set_capacity(world, 3)
    world.run(10.0)
    assert states(held) == [GRANTED] * 3
    assert len(world.told("shrunk")) == 1
