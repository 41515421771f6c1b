"""Ranking against a sorted list."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.ranking import Ranking

ITEMS = st.sampled_from("abcde")
KEYS = st.one_of(st.none(), st.tuples(st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0])))


@given(st.lists(st.tuples(ITEMS, KEYS)))
def test_the_best_is_the_first_of_a_sorted_list(steps: list[tuple[str, tuple[int, float] | None]]):
    """A key puts the item in; none takes it out."""
    ranking: Ranking[str] = Ranking()
    expected: dict[str, tuple[tuple[int, float], int]] = {}
    for serial, (item, key) in enumerate(steps):
        if key is None:
            ranking.discard(item)
            expected.pop(item, None)
        else:
            ranking.put(item, key)
            if item not in expected or expected[item][0] != key:
                expected[item] = (key, serial)
        in_order = sorted(expected, key=lambda item: expected[item])
        assert ranking.best() == (in_order[0] if in_order else None)
        assert sorted(ranking) == sorted(expected)
        assert len(ranking) == len(expected)
        assert [ranking.key(item) for item in in_order] == [expected[item][0] for item in in_order]


def test_equal_keys_keep_the_order_in_which_they_came() -> None:
    ranking: Ranking[str] = Ranking()
    for item in "cab":
        ranking.put(item, (1,))
    ranking.put("c", (1,))
    assert drain(ranking) == ["c", "a", "b"]


def test_items_need_not_be_comparable() -> None:
    ranking: Ranking[object] = Ranking()
    first, second = object(), object()
    ranking.put(first, (1,))
    ranking.put(second, (1,))
    assert drain(ranking) == [first, second]


def test_what_is_not_in_has_no_key() -> None:
    ranking: Ranking[str] = Ranking()
    ranking.put("a", (1,))
    ranking.discard("a")
    ranking.discard("never in")
    assert "a" not in ranking
    with pytest.raises(KeyError):
        ranking.key("a")


def test_it_does_not_grow_with_what_has_been_overtaken() -> None:
    ranking: Ranking[str] = Ranking()
    ranking.put("best", (-1,))
    for key in range(10_000):
        ranking.put("often ranked anew", (key,))
    assert len(ranking._heap) < 100
    assert drain(ranking) == ["best", "often ranked anew"]


def drain(ranking: Ranking[Any]) -> list[object]:
    """Take out the best until nothing is left."""
    taken: list[object] = []
    while (best := ranking.best()) is not None:
        ranking.discard(best)
        taken.append(best)
    return taken
