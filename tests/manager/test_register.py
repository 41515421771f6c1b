"""What a manager notes of its backends is there for its successor, as far as it can be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tenantpool.manager import register
from tenantpool.manager.register import Register

Open = Callable[[], Register]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.backends"


@pytest.fixture
def open_one(path: Path) -> Iterator[Open]:
    """``open_one()`` opens the register; none of them closes it before the test has ended."""
    opened = []

    def open_one() -> Register:
        opened.append(made := Register(path))
        made.open()
        return made

    yield open_one
    for made in opened:
        made.disown()


def test_a_successor_finds_what_had_not_ended(open_one: Open) -> None:
    first = open_one()
    first.add("main", 1, 0.5)
    first.add("main", 2, 0.0)
    first.add("other", 1, 0.0)
    first.drop("main", 2)
    first.drop("main", 3)
    left = open_one().left("main")
    assert list(left) == [1]
    assert left[1] == pytest.approx(time.time() - 0.5, abs=10)


def test_what_is_left_stays_until_it_is_forgotten(open_one: Open) -> None:
    open_one().add("main", 1, 0.0)
    open_one().add("main", 2, 0.0)
    third = open_one()
    assert set(third.left("main")) == {1, 2}
    third.add("main", 1, 0.0)
    assert set(third.left("main")) == {2}, "the number is another's now"
    third.forget_left("main")
    assert third.left("main") == {}
    assert set(open_one().left("main")) == {1}


def test_an_orderly_end_leaves_no_file_unless_something_has_not_ended(
    open_one: Open, path: Path
) -> None:
    first = open_one()
    first.add("main", 1, 0.0)
    first.close()
    assert set(open_one().left("main")) == {1}
    last = open_one()
    last.forget_left("main")
    last.close()
    assert not path.exists()


def test_a_line_that_was_not_finished_is_passed_over(open_one: Open, path: Path) -> None:
    open_one().add("main", 1, 0.0)
    with path.open("a") as file:
        file.write('[]\n{"main": 2}\n["main", 3, null]\n["main", "x", 1]\n["main", 4, 17')
    assert set(open_one().left("main")) == {1}


def test_it_stays_short(open_one: Open, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "_SPARE", 10)
    one = open_one()
    one.add("main", 0, 0.0)
    for pid in range(1, 100):
        one.add("main", pid, 0.0)
        one.drop("main", pid)
    assert len(path.read_text().splitlines()) <= 12
    assert set(open_one().left("main")) == {0}


def test_where_it_cannot_be_written_that_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Register(tmp_path / "nowhere" / "test.backends")
    one.open()
    for pid in range(3):
        one.add("main", pid, 0.0)
    one.close()
    (record,) = caplog.records
    assert "backends not written down" in record.getMessage()
