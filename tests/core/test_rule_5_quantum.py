"""Rule 5: a contended slot stays with its pool for a quantum."""

from __future__ import annotations

import pytest

from tenantpool.core.request import GRANTED, WAITING, Request
from tests.core.driver import World


class Contended(World):
    """One slot: "a" holds it, "b" waits for it, and then "a" waits for it once more."""

    def __init__(self, *, priority: int = 0, mine: int = 0, **rival: object) -> None:
        super().__init__(capacity=1)
        a = self.tenant("a")
        self.held = self.lease(a)
        self.rival = self.ask(self.tenant("b", "b", **rival), priority=priority)
        self.run(0.001)
        self.local = self.ask(a, priority=mine)

    def winner(self) -> Request:
        """Who gets the slot when it comes back now."""
        self.give_back(self.held)
        self.run(0.02)
        won, lost = sorted((self.local, self.rival), key=lambda request: request.state)
        assert (won.state, lost.state) == (GRANTED, WAITING)
        return won


def test_a_contended_slot_stays_with_its_pool_for_a_quantum() -> None:
    world = Contended()
    assert world.winner() is world.local


def test_after_its_quantum_it_goes_to_the_most_deserving() -> None:
    world = Contended()
    world.run(world.db.quantum)
    assert world.winner() is world.rival


def test_a_new_connection_has_a_new_quantum() -> None:
    world = Contended()
    world.run(world.db.quantum)
    world.give_back(world.held)
    world.run(0.02)
    assert world.rival.slot is not None
    assert world.rival.slot.quantum_ends == pytest.approx(world.now + world.db.quantum, abs=0.02)


def test_after_its_quantum_it_stays_if_nobody_deserves_it_more() -> None:
    world = World(capacity=1)
    a = world.tenant("a", guarantee=1)
    held = world.lease(a)
    world.ask(world.tenant("b"))
    local = world.ask(a)
    world.run(world.db.quantum)
    world.give_back(held)
    assert local.state == GRANTED


def test_after_its_quantum_it_stays_too_if_another_is_on_its_way() -> None:
    """Who waits here has a connect under way already, but deserves this slot more all the same."""
    world = World(capacity=2, connect=1.0)
    a = world.tenant("a", guarantee=2)
    held = world.lease(a)
    local = world.ask(a)
    world.ask(world.tenant("b"))
    world.run(world.db.quantum)
    world.give_back(held)
    assert (world.opening(a), local.state) == (1, GRANTED)


def test_a_guarantee_does_not_wait_for_a_quantum() -> None:
    world = Contended(guarantee=1)
    assert world.winner() is world.rival


@pytest.mark.parametrize(("rival", "local", "urgent"), [(1, 0, True), (1, 1, False), (0, 1, False)])
def test_only_a_higher_priority_does_not_wait_for_a_quantum(
    rival: int, local: int, urgent: bool
) -> None:
    world = Contended(priority=rival, mine=local)
    assert world.winner() is (world.rival if urgent else world.local)


def test_a_slot_whose_pool_has_no_waiter_has_no_quantum() -> None:
    world = Contended()
    world.cancel(world.local)
    world.run(world.db.limits.min_connection_age)
    assert world.now < world.db.quantum
    world.give_back(world.held)
    world.settle()
    assert world.rival.state == GRANTED


def test_a_quantum_is_a_multiple_of_the_measured_connect_time() -> None:
    world = World(connect=0.01, quantum_factor=20.0, capacity=100)
    world.lease_all(60, world.tenant("a", cap=60))
    assert world.db.quantum == pytest.approx(20 * 0.01, rel=0.01)


def test_a_quantum_has_a_longest() -> None:
    world = World(connect=1.0, quantum_factor=50.0, quantum_max=0.3)
    world.lease(world.tenant("a"))
    assert world.db.quantum == 0.3


def test_one_very_slow_connect_does_not_count_in_full() -> None:
    world = World(connect=1000.0)
    before = world.db.connect_time
    world.lease(world.tenant("a"))
    assert world.db.connect_time == pytest.approx(before * 1.9)
