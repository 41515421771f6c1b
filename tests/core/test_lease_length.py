"""Leases that are held for too long are reported, and revoked where that is asked for."""

from __future__ import annotations

import pytest

from tenantpool.core.request import GRANTED, REVOKED, Request
from tests.core.driver import World


def hold(world: World, seconds: float, **limits: float | None) -> Request:
    """A lease that has been held for so long when upkeep looks at it."""
    request = world.lease(world.tenant("a", "a", **limits))
    world.run(seconds)
    world.sweep()
    return request


def test_a_lease_held_for_longer_than_leak_after_is_reported_once() -> None:
    world = World()
    request = hold(world, 61.0, leak_after=60.0)
    world.sweep()
    (told,) = world.told("leak")
    assert (told["tenant"], told["holder"]) == ("a", request.holder)
    assert told["held"] == pytest.approx(61.0, abs=0.1)
    assert request.tenant.counters.leaks == 1


def test_a_reported_lease_goes_on() -> None:
    world = World()
    request = hold(world, 61.0, leak_after=60.0)
    assert request.state == GRANTED
    assert world.closes == []


def test_the_next_lease_of_the_connection_is_reported_anew() -> None:
    world = World()
    world.give_back(hold(world, 61.0, leak_after=60.0))
    hold(world, 61.0)
    assert len(world.told("leak")) == 2


def test_a_leak_is_revoked_where_that_is_asked_for() -> None:
    world = World()
    request = hold(world, 61.0, leak_after=60.0, leak_revoke=True)
    assert request.state == REVOKED
    assert [notice.event for notice in world.notices] == ["leak", "revoked"]


def test_a_lease_held_for_longer_than_max_lease_is_revoked() -> None:
    world = World()
    request = hold(world, 61.0, max_lease=60.0)
    assert request.state == REVOKED
    assert [close.revoked for close in world.closes] == [True]
    assert world.told("leak") == []


@pytest.mark.parametrize(
    ("seconds", "limits"),
    [(59.0, {"max_lease": 60.0}), (59.0, {"leak_after": 60.0, "leak_revoke": True}), (1e6, {})],
)
def test_a_lease_within_its_limits_is_left_alone(seconds: float, limits: dict[str, float]) -> None:
    world = World()
    assert hold(world, seconds, **limits).state == GRANTED
    assert world.notices == []


def test_in_a_shared_pool_every_tenant_has_limits_of_its_own() -> None:
    world = World()
    short = world.lease(world.tenant("x", "shared", max_lease=10.0))
    long = world.lease(world.tenant("y", "shared", max_lease=100.0))
    world.run(50.0)
    world.sweep()
    assert (short.state, long.state) == (REVOKED, GRANTED)
