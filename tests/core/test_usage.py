"""What the last hour looked like, against a brute-force count of every request."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.bucket import TokenBucket
from tenantpool.core.limits import TenantLimits
from tenantpool.core.usage import Foreseen, Usage
from tests.core.driver import World

HOUR = 3600.0


class Came(NamedTuple):
    """A request, and what it found."""

    at: float
    in_use: int
    waiting: int


def limits_of(cap: int, **limits: object) -> TenantLimits:
    return TenantLimits("basic", cap, **limits)  # type: ignore[arg-type]


def noted(requests: list[Came]) -> Usage:
    usage = Usage()
    for request in requests:
        usage.note(*request)
    return usage


def counted(requests: list[Came], limits: TenantLimits) -> Foreseen:
    """The formulas of ``Usage.foresee``, said request by request."""
    ceiling, longest = limits.ceiling, limits.max_waiting
    return Foreseen(
        requests=len(requests),
        over_cap=sum(r.in_use + r.waiting >= ceiling for r in requests),
        over_queue=max(
            sum(r.waiting >= longest for r in requests),
            sum(r.in_use + r.waiting >= ceiling + longest for r in requests),
        ),
        over_rate=0,
    )


COMING = st.lists(
    st.builds(Came, st.floats(0.0, 3000.0), st.integers(0, 30), st.integers(0, 30)), max_size=50
)


@given(
    COMING,
    st.builds(
        limits_of, st.integers(1, 40), overflow=st.integers(0, 3), max_waiting=st.integers(1, 40)
    ),
)
def test_it_foresees_what_a_count_of_every_request_does(
    coming: list[Came], limits: TenantLimits
) -> None:
    coming.sort()
    assert noted(coming).foresee(3000.0, limits) == counted(coming, limits)


@given(st.integers(0, 100_000), st.integers(1, 100_000))
def test_of_large_numbers_it_knows_the_first_digits(in_use: int, cap: int) -> None:
    found = noted([Came(0.0, in_use, 0)]).foresee(0.0, limits_of(cap))
    if not 0.96 < in_use / cap < 1.04:
        assert found.over_cap == (in_use >= cap)


def test_after_an_hour_a_request_does_not_count() -> None:
    usage = noted([Came(10.0, 5, 0), Came(400.0, 5, 0)])
    seen = [usage.foresee(now, limits_of(1)).requests for now in (3599.0, 3600.0, 3899.0, 3900.0)]
    assert seen == [2, 1, 1, 0]


def test_memory_is_bounded_however_long_and_much_is_asked() -> None:
    usage = Usage()
    for number in range(20_000):
        usage.note(number * 10.0, number, number % 3000)
    counts = sum(len(period.load) + len(period.waiting) for period in usage._periods)
    assert (len(usage._periods), counts < 2000) == (12, True)


def test_it_knows_the_requests_of_each_minute() -> None:
    usage = noted([Came(at, 0, 0) for at in (0.0, 59.9, 60.0, 3540.0)])
    assert [(n, count) for n, count in enumerate(usage.per_minute(3599.0)) if count] == [
        (0, 2),
        (1, 1),
        (59, 1),
    ]
    assert usage.per_minute(3600.0)[54:] == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("per_minute", [6, 30, 90, 600])
@pytest.mark.parametrize(("rate", "burst"), [(0.5, 1), (1.0, 60), (2.0, 10)])
def test_a_rate_refuses_as_a_token_bucket_does_where_requests_come_evenly(
    per_minute: int, rate: float, burst: int
) -> None:
    coming = [Came(n * 60.0 / per_minute, 0, 0) for n in range(per_minute * 10)]
    bucket = TokenBucket(rate, burst, 0.0)
    refused = sum(bucket.take(request.at) > 0.0 for request in coming)
    foreseen = noted(coming).foresee(600.0, limits_of(1, rate=rate, burst=burst)).over_rate
    assert foreseen == pytest.approx(refused, abs=2)


def test_what_comes_in_bursts_is_refused_at_least_as_often_as_foreseen() -> None:
    coming = [Came(60.0 * minute, 0, 0) for minute in range(10) for _ in range(100)]
    bucket = TokenBucket(1.0, 20, 0.0)
    refused = sum(bucket.take(request.at) > 0.0 for request in coming)
    foreseen = noted(coming).foresee(600.0, limits_of(1, rate=1.0, burst=20)).over_rate
    assert 0 < foreseen <= refused


def test_a_pause_fills_the_bucket() -> None:
    coming = [Came(at + n / 100, 0, 0) for at in (0.0, 1200.0) for n in range(200)]
    limits = limits_of(1, rate=0.1, burst=100)
    assert noted(coming).foresee(1300.0, limits).over_rate == 2 * (200 - 100 - 6)


def test_no_rate_refuses_nobody() -> None:
    assert noted([Came(0.0, 0, 0)] * 1000).foresee(0.0, limits_of(1)).over_rate == 0


def test_every_request_of_a_tenant_is_noted_with_what_it_found() -> None:
    world = World(capacity=2)
    a = world.tenant("a", cap=2, max_waiting=1)
    world.ask_for(4, a)
    assert a.usage.foresee(world.now, limits_of(1, max_waiting=1)) == Foreseen(4, 3, 3, 0)
    assert repr(a.usage) == "<Usage 4 requests>"
