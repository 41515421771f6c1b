"""Times and moments as people write and read them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.cli.moments import in_words, parse_end


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("+2h", timedelta(hours=2)),
        ("+30m", timedelta(minutes=30)),
        ("45s", timedelta(seconds=45)),
        ("+1h30m", timedelta(hours=1, minutes=30)),
        ("+1d 12h", timedelta(days=1.5)),
        ("+1.5h", timedelta(minutes=90)),
        ("+5 min", timedelta(minutes=5)),
    ],
)
def test_a_time_is_written_in_units(text: str, time: timedelta) -> None:
    assert parse_end(text) == time


@pytest.mark.parametrize(
    "text", ["2100-11-21T18:00Z", "2100-11-21T19:00+01:00", "2100-11-21 18:00Z"]
)
def test_a_moment_has_a_zone(text: str) -> None:
    assert parse_end(text) == datetime(2100, 11, 21, 18, tzinfo=UTC)


def test_a_moment_without_a_zone_is_local_time() -> None:
    assert parse_end("2100-11-21T18:00") == datetime(2100, 11, 21, 18).astimezone()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tomorrow", "neither a time"),
        ("", "neither a time"),
        ("2h+", "neither a time"),
        ("-2h", "neither a time"),
        ("+2", "neither a time"),
        ("+0s", "no time at all"),
        ("2020-01-01T00:00Z", "is over already"),
        ("0001-01-01", "over already|neither"),
    ],
)
def test_anything_else_is_refused_with_examples(text: str, says: str) -> None:
    with pytest.raises(typer.BadParameter, match=says):
        parse_end(text)


@given(st.text(max_size=20))
def test_no_text_breaks_it(text: str) -> None:
    with suppress(typer.BadParameter):
        assert isinstance(parse_end(text), timedelta | datetime)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.6, "1 min"),
        (90, "1 min 30 s"),
        (7199.9, "2 h"),
        (7140, "1 h 59 min"),
        (90061, "1 d 1 h"),
        (86400 + 60, "1 d 1 min"),
    ],
)
def test_a_time_is_read_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
