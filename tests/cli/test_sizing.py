"""The sizing rules: the figures of their sources, and what they refuse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.sizing import PoolSize, by_disks, by_littles_law, by_rate, by_wait


def test_eight_cores_and_one_disk_are_kept_busy_by_17() -> None:
    assert by_disks(8, 1) == 17


def test_eight_cores_that_wait_90_of_100_ms_take_80() -> None:
    assert by_wait(8, 90, 10) == 80


def test_100_requests_of_50_ms_need_6_and_not_the_17_of_the_text() -> None:
    assert by_rate(100, 0.05, 200) == PoolSize(connections=6, min_size=5, overflow=10)


def test_a_third_is_kept_and_a_half_added_above_the_floors() -> None:
    assert by_rate(1000, 0.05, 200) == PoolSize(connections=60, min_size=20, overflow=30)


def test_a_load_gets_at_most_the_limit() -> None:
    assert by_rate(10_000, 0.05, 200).connections == 200


def test_littles_law_is_rate_times_time_held() -> None:
    assert by_littles_law(200, 0.02) == pytest.approx(4)


@given(st.integers(1, 10_000), st.integers(1, 1000))
def test_binary_fractions_add_no_connection(requests: int, milliseconds: int) -> None:
    exact = -(-requests * milliseconds * 12 // 10_000)
    assert by_rate(requests, milliseconds / 1000, 10**9).connections == exact


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
def test_what_makes_no_sense_is_a_value_error(bad: float) -> None:
    with pytest.raises(ValueError, match="service must be above 0"):
        by_wait(8, 90, bad)
    with pytest.raises(ValueError, match="requests must be above 0"):
        by_rate(bad, 0.05, 200)
    with pytest.raises(ValueError, match="arrivals must be above 0"):
        by_littles_law(bad, 1)


def test_counts_have_a_least() -> None:
    with pytest.raises(ValueError, match="cores must be at least 1, not 0"):
        by_disks(0, 1)
    with pytest.raises(ValueError, match="spindles must be at least 0, not -1"):
        by_disks(1, -1)
    with pytest.raises(ValueError, match="limit must be at least 1"):
        by_rate(1, 1, 0)
