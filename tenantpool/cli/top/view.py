"""What the user looks at, and what each key does to it: no terminal, no service, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from tenantpool.cli.findings import Ranking
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
_FAR = 10_000
"""More lines than there are."""


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

RANKING_KEYS: Final = {
    "l": Ranking.LATEST,
    "t": Ranking.TIMES,
    "o": Ranking.LONGEST,
    "i": Ranking.KIND,
    "n": Ranking.TENANT,
}

_MOVES: Final = {
    UP: -1,
    "k": -1,
    DOWN: 1,
    "j": 1,
    PAGE_UP: -_PAGE,
    PAGE_DOWN: _PAGE,
    " ": _PAGE,
    HOME: -_FAR,
    "g": -_FAR,
    END: _FAR,
    "G": _FAR,
}


class Question(NamedTuple):
    """What the service is asked."""

    order: Order
    contains: str
    tenant: str
    """Whose page is open; empty: none."""


class Topic(NamedTuple):
    """What it is asked beside that, because a page of it is open."""

    database: str = ""
    """Whose activity; empty: findings are asked for."""
    ranking: Ranking = Ranking.LATEST
    contains: str = ""


@dataclass
class View:
    """The list of tenants; the page of one, of a database, or of the findings."""

    order: Order = Order.LOAD
    contains: str = ""
    selected: str = ""
    """The tenant that the cursor is on."""
    tenant: str = ""
    """Whose page is open; empty: none."""
    database: str = ""
    """Whose page is open; empty: none."""
    lists_findings: bool = False
    """Their page is open."""
    ranking: Ranking = Ranking.LATEST
    offset: int = 0
    """Lines of the page that have been scrolled away."""
    is_typing: bool = False
    """What is typed goes into the filter."""
    helps: bool = False
    is_over: bool = False

    @property
    def question(self) -> Question:
        """What has to be asked to show this."""
        return Question(self.order, self.contains, self.tenant)

    @property
    def topic(self) -> Topic | None:
        """What has to be asked beside that; None: nothing."""
        if self.database:
            return Topic(self.database)
        return Topic("", self.ranking, self.contains) if self.lists_findings else None

    @property
    def is_on_page(self) -> bool:
        """Whether a page is open, not the list."""
        return bool(self.tenant or self.database or self.lists_findings)

    def press(self, key: str, names: Sequence[str], databases: Sequence[str] = ()) -> None:
        """Act on *key*, with the tenants *names* in the list and the *databases* above it."""
        if self.is_typing:
            self._type(key)
        elif self.helps:
            self.helps = False
        elif key == "?":
            self.helps = True
        elif self.is_on_page:
            self._press_on_page(key, databases)
        elif key == "d" and databases:
            self.database = databases[0]
        elif key == "f":
            self.lists_findings = True
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

    def _press_on_page(self, key: str, databases: Sequence[str]) -> None:
        if key in ("q", ESCAPE, BACKSPACE):
            self.tenant, self.database, self.lists_findings, self.offset = "", "", False, 0
        elif key == "d" and self.database:
            self.database, self.offset = _after(self.database, databases), 0
        elif key == "/" and self.lists_findings:
            self.is_typing, self.offset = True, 0
        elif key in RANKING_KEYS and self.lists_findings:
            self.ranking, self.offset = RANKING_KEYS[key], 0
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


def _after(name: str, names: Sequence[str]) -> str:
    """The one that comes after *name*; after the last the first; *name* if there are none."""
    if name not in names:
        return names[0] if names else name
    return names[(names.index(name) + 1) % len(names)]
