"""What a tier has had on a database is counted as it happens, and outlives its tenants."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.tally import BOUNDS, Histogram
from tenantpool.errors import Reason
from tests.core.driver import REFUSED_ONCE, World


@given(st.lists(st.floats(0, 100)))
def test_a_bucket_holds_what_its_upper_end_does_not_exceed(seconds: list[float]) -> None:
    histogram = Histogram()
    for each in seconds:
        histogram.note(each)
    for number, bound in enumerate(BOUNDS):
        assert sum(histogram.counts[: number + 1]) == sum(each <= bound for each in seconds)
    assert sum(histogram.counts) == len(seconds)
    assert histogram.total == pytest.approx(sum(seconds))


def test_a_tier_has_what_its_tenants_had() -> None:
    world = World(capacity=1)
    a, b, other = world.tenant("a"), world.tenant("b"), world.tenant("c", tier="other")
    for tenant in (a, b, other):
        request = world.lease(tenant)
        world.run(0.3)
        world.give_back(request)
        world.settle()
    tally = world.db.tallies[a.limits.tier]
    assert (tally.leases, world.db.tallies["other"].leases) == (2, 1)
    assert tally.holds.counts[BOUNDS.index(0.5)] == 2
    assert tally.holds.total == pytest.approx(0.6, abs=0.05)
    assert sum(tally.waits.counts) == 2
    assert world.db.evictions == 2
    assert sum(world.db.connects.counts) == 3


def test_refusals_are_counted_by_reason() -> None:
    world = World()
    tenant = world.tenant("a")
    world.db.drain(world.now, tenant)
    world.ask(tenant)
    assert world.db.tallies[tenant.limits.tier].refused == {Reason.DRAINING: 1}


def test_a_tally_outlives_its_tenants() -> None:
    world = World()
    tenant = world.tenant("a", pool_idle=1.0, max_idle=0.5)
    world.give_back(world.lease(tenant))
    world.settle()
    tally = world.db.tallies[tenant.limits.tier]
    for _ in range(3):
        world.run(2.0)
        world.sweep()
    assert world.db.tenants == {}
    assert world.tenant("a").tally is tally
    assert tally.leases == 1


def test_a_connect_that_failed_is_counted() -> None:
    world = World()
    world.failing["a"] = REFUSED_ONCE
    world.ask(world.tenant("a"))
    world.run(1.0)
    assert world.db.connect_failures >= 1
    assert sum(world.db.connects.counts) == 0


def test_a_revoked_lease_is_counted() -> None:
    world = World()
    tenant = world.tenant("a")
    request = world.lease(tenant)
    world.perform(world.db.revoke(world.now, request))
    assert tenant.tally.revoked == 1
