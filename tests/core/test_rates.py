"""Rate limits: so many leases per second on average, so many at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.bucket import TokenBucket
from tenantpool.errors import Reason
from tests.core.driver import World


def test_a_bucket_starts_full() -> None:
    bucket = TokenBucket(rate=1.0, burst=3, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_a_bucket_says_when_there_will_be_a_token() -> None:
    bucket = TokenBucket(rate=2.0, burst=1, now=0.0)
    bucket.take(0.0)
    assert bucket.take(0.2) == pytest.approx(0.3)
    assert bucket.take(0.5) == 0.0


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=100.0, burst=2, now=0.0)
    assert [bucket.take(1000.0) > 0 for _ in range(3)] == [False, False, True]


@given(st.floats(0.1, 100), st.integers(1, 5), st.lists(st.floats(0, 1), max_size=50))
def test_never_more_than_the_burst_and_the_rate(
    rate: float, burst: int, pauses: list[float]
) -> None:
    bucket, now, taken = TokenBucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        retry_after = bucket.take(now)
        taken += not retry_after
        assert retry_after <= 1 / rate
        assert taken <= burst + rate * now + 1e-6


def test_a_tenant_is_refused_above_its_rate_and_served_when_it_was_told_to_retry() -> None:
    world = World()
    a = world.tenant("a", rate=4.0, burst=2)
    world.ask_for(2, a)
    error = world.refusal(a)
    assert (error.reason, error.retry_after) == (Reason.RATE_LIMIT, 0.25)
    world.run(0.25)
    world.lease(a)


def test_a_rate_is_nobody_elses() -> None:
    world = World()
    x = world.tenant("x", "shared", rate=1.0)
    world.lease(x)
    world.refusal(x)
    world.lease(world.tenant("y", "shared"))


def test_a_rate_still_counts_after_a_drain() -> None:
    world = World()
    a = world.tenant("a", rate=1.0)
    world.perform(world.db.drain(world.now, a))
    world.db.resume(a)
    world.lease(a)
    assert world.refusal(a).reason == Reason.RATE_LIMIT
