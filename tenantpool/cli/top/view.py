"""What the user looks at, and what each key does to it: no terminal, no service, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from tenantpool.cli.top.keys import (
    BACKSPACE,
    DOWN,
    END,
    ENTER,
    ESCAPE,
    HOME,
    PAGE_DOWN,
    PAGE_UP,
    UP,
)

MOST: Final = 200
"""Tenants that are asked for at a time."""

_PAGE = 10


class Order(StrEnum):
    """Which tenants come first; the service sorts, so it is among all of them."""

    LOAD = "load"
    WAIT = "wait"
    IN_USE = "in_use"
    LEASES = "leases"
    REFUSED = "refused"
    NAME = "name"


ORDER_KEYS: Final = {
    "b": Order.LOAD,
    "w": Order.WAIT,
    "u": Order.IN_USE,
    "l": Order.LEASES,
    "r": Order.REFUSED,
    "n": Order.NAME,
}

_MOVES: Final = {
    UP: -1,
    "k": -1,
    DOWN: 1,
    "j": 1,
    PAGE_UP: -_PAGE,
    PAGE_DOWN: _PAGE,
    " ": _PAGE,
    HOME: -MOST,
    "g": -MOST,
    END: MOST,
    "G": MOST,
}


class Question(NamedTuple):
    """What the service is asked."""

    order: Order
    contains: str
    tenant: str
    """Whose page is open; empty: none."""


@dataclass
class View:
    """The list of tenants, or the page of one."""

    order: Order = Order.LOAD
    contains: str = ""
    selected: str = ""
    """The tenant that the cursor is on."""
    tenant: str = ""
    """Whose page is open; empty: the list is shown."""
    offset: int = 0
    """Lines of that page that have been scrolled away."""
    is_typing: bool = False
    """What is typed goes into the filter."""
    helps: bool = False
    is_over: bool = False

    @property
    def question(self) -> Question:
        """What has to be asked to show this."""
        return Question(self.order, self.contains, self.tenant)

    def press(self, key: str, names: Sequence[str]) -> None:
        """Act on *key*, with the tenants *names* in the list."""
        if self.is_typing:
            self._type(key)
        elif self.helps:
            self.helps = False
        elif key == "?":
            self.helps = True
        elif self.tenant:
            self._press_on_page(key)
        else:
            self._press_on_list(key, names)

    def cursor(self, names: Sequence[str]) -> int:
        """The line of the list that the cursor is on; it stays with its tenant."""
        return names.index(self.selected) if self.selected in names else 0

    def _type(self, key: str) -> None:
        if key == ENTER:
            self.is_typing = False
        elif key == ESCAPE:
            self.is_typing, self.contains = False, ""
        elif key == BACKSPACE:
            self.contains = self.contains[:-1]
        elif len(key) == 1 and key.isprintable():
            self.contains += key

    def _press_on_page(self, key: str) -> None:
        if key in ("q", ESCAPE, BACKSPACE):
            self.tenant, self.offset = "", 0
        elif move := _MOVES.get(key):
            self.offset = max(0, self.offset + move)

    def _press_on_list(self, key: str, names: Sequence[str]) -> None:
        if key == "q":
            self.is_over = True
        elif key == ESCAPE:
            self.contains = ""
        elif key == "/":
            self.is_typing = True
        elif key in ORDER_KEYS:
            self.order, self.selected = ORDER_KEYS[key], ""
        elif names and key == ENTER:
            self.tenant = self.selected = names[self.cursor(names)]
        elif names and (move := _MOVES.get(key)):
            self.selected = names[min(max(0, self.cursor(names) + move), len(names) - 1)]
