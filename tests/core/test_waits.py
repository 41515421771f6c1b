"""Waits: quantiles out of a histogram, within 18 %."""

from __future__ import annotations

from math import ceil, e

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.counters import Waits

STEP = e ** (1 / 6) * (1 + 1e-9)


def noted(waits: list[float]) -> Waits:
    histogram = Waits()
    for seconds in waits:
        histogram.note(seconds)
    return histogram


@given(
    st.lists(st.floats(1e-5, 300.0), min_size=1),
    st.integers(0, 100),
    st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_is_within_18_percent_of_the_exact_one(
    waits: list[float], at_once: int, q: float
) -> None:
    """*at_once* leases did not have to wait."""
    leases = len(waits) + at_once
    exact = sorted([0.0] * at_once + waits)[ceil(q * leases) - 1]
    found = noted(waits).quantile(q, leases)
    assert exact / STEP <= found <= exact * STEP


def test_nobody_waited() -> None:
    assert Waits().quantile(0.99, 1000) == 0.0
    assert Waits().quantile(0.99, 0) == 0.0


def test_no_quantile_is_longer_than_the_longest_wait() -> None:
    assert noted([0.0101]).quantile(1.0, 1) == 0.0101


def test_what_is_summed_up() -> None:
    waits = noted([0.0, 0.25, 1000.0])
    assert (waits.count, waits.longest) == (3, 1000.0)
    assert waits.total == pytest.approx(1000.25)
