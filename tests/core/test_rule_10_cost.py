"""Rule 10: a decision costs O(log n) in tenants and waiters.

What is counted is the lines of Python that run, so no clock and no other load can spoil it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from tests.core.driver import World

FEW, MANY = 30, 3000


def lines_of(decisions: Callable[[], object]) -> int:
    """How many lines run."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        decisions()
    finally:
        sys.settrace(before)
    return lines


def who_waits(tenants: int) -> int:
    """Twenty moves of a slot, while every tenant waits."""
    world = World(capacity=20, quantum_factor=0.0)
    held = world.lease_all(20, world.tenant("holder", cap=20))
    for number in range(tenants):
        world.ask(world.tenant(f"t{number}"))
    world.run(1.0)

    def move() -> None:
        for lease in held:
            world.give_back(lease)
            world.run(0.02)

    return lines_of(move)


def how_long_a_queue_is(waiters: int) -> int:
    """Twenty leases that go on to the next in line, and some who give up."""
    world = World(capacity=20)
    a = world.tenant("a", cap=20, max_waiting=10_000)
    held = world.lease_all(20, a)
    waiting = world.ask_for(waiters, a)

    def go_on() -> None:
        world.give_back(*held)
        for request in waiting[-5:]:
            world.cancel(request)

    return lines_of(go_on)


def who_is_idle(pools: int) -> int:
    """Twenty connections evicted, while every pool has one that is idle."""
    world = World(capacity=pools)
    for number in range(pools):
        world.open_idle(1, world.tenant(f"t{number}"))
    world.run(1.0)
    newcomer = world.tenant("newcomer", cap=20)
    return lines_of(lambda: world.lease_all(20, newcomer))


def how_many_are_known(tenants: int) -> int:
    """Twenty leases from the tenant's own idle connection: the hot path."""
    world = World(capacity=10)
    for number in range(tenants):
        world.tenant(f"t{number}")
    a = world.tenant("a")
    world.open_idle(1, a)

    def lend() -> None:
        for _ in range(20):
            world.give_back(world.ask(a))

    return lines_of(lend)


@pytest.mark.parametrize("crowd", [who_waits, how_long_a_queue_is, who_is_idle, how_many_are_known])
def test_a_hundred_times_as_many_cost_less_than_twice_as_much(
    crowd: Callable[[int], int],
) -> None:
    assert crowd(MANY) < 2 * crowd(FEW)
