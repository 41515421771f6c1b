"""What each key of ``tenantpool top`` does, and what a terminal sends for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.cli.findings import Ranking
from tenantpool.cli.top.keys import DOWN, END, ENTER, ESCAPE, HOME, PAGE_DOWN, UP, keys_in
from tenantpool.cli.top.view import ORDER_KEYS, RANKING_KEYS, Order, Topic, View

NAMES = [f"t{number}" for number in range(30)]


def pressed(view: View, *keys: str) -> View:
    for key in keys:
        view.press(key, NAMES)
    return view


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("q", ["q"]),
        ("\x1b[A\x1b[B\x1bOA", [UP, DOWN, UP]),
        ("\x1b[5~\x1b[6~", ["page up", PAGE_DOWN]),
        ("\x1b[H\x1b[1~\x1bOF", [HOME, HOME, END]),
        ("\r\n\x7f", [ENTER, ENTER, "backspace"]),
        ("\x1b", [ESCAPE]),
        ("\x1b[1;5A", []),  # Ctrl-Up
        ("\x1b[200~é", ["é"]),
    ],
)
def test_a_terminal_sends_keys(sent: str, keys: list[str]) -> None:
    assert list(keys_in(sent)) == keys


@given(st.text())
def test_whatever_is_sent_is_keys(text: str) -> None:
    view = View()
    for key in keys_in(text):
        view.press(key, NAMES)
    assert 0 <= view.cursor(NAMES) < len(NAMES)
    assert view.offset >= 0


def test_the_cursor_moves_and_stops_at_the_ends() -> None:
    view = pressed(View(), UP)
    assert view.selected == "t0"
    assert pressed(view, DOWN, PAGE_DOWN).selected == "t11"
    assert pressed(view, END, DOWN).selected == "t29"
    assert pressed(view, HOME).selected == "t0"


def test_the_cursor_stays_with_its_tenant_when_the_order_of_the_list_changes() -> None:
    view = pressed(View(), DOWN, DOWN)
    assert view.cursor(list(reversed(NAMES))) == 27
    assert view.cursor(["others"]) == 0


@pytest.mark.parametrize(("key", "order"), ORDER_KEYS.items())
def test_a_letter_sorts_and_goes_to_the_top(key: str, order: Order) -> None:
    view = pressed(View(), DOWN, key)
    assert (view.order, view.selected) == (order, "")


def test_a_filter_takes_every_letter_until_enter() -> None:
    view = pressed(View(), "/", "q", "n", "x", "backspace")
    assert (view.contains, view.is_typing, view.order) == ("qn", True, Order.LOAD)
    assert not pressed(view, ENTER).is_typing
    assert pressed(view, ESCAPE).contains == ""


def test_enter_opens_a_tenant_and_q_goes_back_before_it_quits() -> None:
    view = pressed(View(), DOWN, ENTER)
    assert (view.tenant, view.question.tenant) == ("t1", "t1")
    assert pressed(view, DOWN, PAGE_DOWN).offset == 11
    assert (pressed(view, "q").tenant, view.offset, view.is_over) == ("", 0, False)
    assert pressed(view, "q").is_over


def test_d_opens_a_database_and_then_the_next_one() -> None:
    view = View()
    for key, database in (("d", "east"), ("d", "west"), (DOWN, "west"), ("d", "east")):
        view.press(key, NAMES, ["east", "west"])
        assert view.database == database
    assert view.topic == Topic("east")
    assert view.offset == 0
    view.press("d", NAMES, ["north"])
    assert view.database == "north"
    view.press("d", NAMES, [])
    assert view.database == "north"
    assert pressed(view, "q").topic is None
    assert not view.is_over
    view.press("d", NAMES, [])
    assert not view.is_on_page


@pytest.mark.parametrize(("key", "ranking"), RANKING_KEYS.items())
def test_f_opens_the_findings_which_a_letter_sorts(key: str, ranking: Ranking) -> None:
    view = pressed(View(), "f", DOWN, key)
    assert (view.topic, view.offset) == (Topic("", ranking, ""), 0)
    assert view.order is Order.LOAD
    assert pressed(view, "/", "x", ENTER).topic == Topic("", ranking, "x")
    assert pressed(view, ESCAPE).topic is None


def test_help_is_left_by_any_key() -> None:
    view = pressed(View(), "?")
    assert view.helps
    view = pressed(view, "q")
    assert (view.helps, view.is_over) == (False, False)


def test_an_empty_list_takes_every_key() -> None:
    view = View()
    for key in (UP, DOWN, END, ENTER, "w", "/"):
        view.press(key, [])
    assert view.tenant == ""
