"""Demand: the order of decayed request rates, without a clock."""

from __future__ import annotations

from itertools import combinations
from math import exp, inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.demand import TIME_CONSTANT, Demand

POOLS = 4
REQUESTS = st.lists(st.tuples(st.integers(0, POOLS - 1), st.floats(0.0, 5.0)), max_size=60)


def exact_rate(times: list[float], now: float) -> float:
    """Requests per second, each weighing 1/e less after every time constant."""
    return sum(exp((time - now) / TIME_CONSTANT) for time in times) / TIME_CONSTANT


@given(REQUESTS, st.floats(0.0, 1e6), st.floats(0.0, 10.0))
def test_the_order_of_scores_is_the_order_of_exact_rates(
    requests: list[tuple[int, float]], start: float, later: float
) -> None:
    demands = [Demand() for _ in range(POOLS)]
    times: list[list[float]] = [[] for _ in range(POOLS)]
    now = start
    for pool, pause in requests:
        now += pause
        demands[pool].note(now)
        times[pool].append(now)
    now += later
    rates = [exact_rate(mine, now) for mine in times]
    for one, other in combinations(range(POOLS), 2):
        if not isclose(rates[one], rates[other], rel_tol=1e-6):
            assert (demands[one].score < demands[other].score) == (rates[one] < rates[other])
    assert [demand.rate(now) for demand in demands] == pytest.approx(rates, rel=1e-6)


def test_whoever_was_never_asked_for_is_needed_least() -> None:
    asked, never = Demand(), Demand()
    asked.note(0.0)
    assert never.score == -inf < asked.score
    assert never.rate(5.0) == 0.0


def test_a_steady_rate_is_what_it_says() -> None:
    demand = Demand()
    for tick in range(3000):
        demand.note(tick / 100)
    assert demand.rate(30.0) == pytest.approx(100.0, rel=0.01)


def test_years_of_uptime_do_not_overflow() -> None:
    demand = Demand()
    demand.note(1.0)
    demand.note(1e9)
    assert demand.rate(1e9) == pytest.approx(1 / TIME_CONSTANT)
