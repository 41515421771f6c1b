"""Items in the order of their keys: the one data structure behind every choice the core makes."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

Item = TypeVar("Item")

_SLACK = 64
"""Overtaken entries that are tolerated before a heap is rebuilt, besides one for each live one."""


class Ranking(dict[Item, tuple[Any, ...]]):
    """A priority queue whose items can be ranked anew and taken out: O(log n), amortised.

    Keys are tuples of one length. The smallest comes first; equal ones keep the order in which
    they came. It is a dictionary of the items that are in, in no order of rank, and a heap of
    their entries: key, serial number and item in one flat tuple, as that compares fastest. An
    entry that has been overtaken stays in the heap until it surfaces, where it is skipped: a list
    can't be searched cheaply, so this is faster than sifting. The entry made last is kept beside
    the heap until there is a later one: most are overtaken, or taken out, before that. Items are
    hashed by identity.
    """

    __slots__ = ("_heap", "_latest", "_serial")

    def __init__(self) -> None:
        super().__init__()
        self._heap: list[tuple[Any, ...]] = []
        self._latest: tuple[Any, ...] | None = None
        """The entry that is not in the heap yet."""
        self._serial = 0

    def __repr__(self) -> str:
        return f"<Ranking of {len(self)}, best {self.best()!r}>"

    def put(self, item: Item, key: tuple[Any, ...]) -> None:
        """Rank *item* by *key*, wherever it stood before."""
        entry = self.get(item)
        if entry is not None and entry[:-2] == key:
            return
        latest = self._latest
        if latest is not None and latest is not entry:
            heappush(self._heap, latest)
            if len(self._heap) > 2 * len(self) + _SLACK:
                self._heap = list(self.values())
                heapify(self._heap)
        self._serial += 1
        self[item] = self._latest = (*key, self._serial, item)

    def discard(self, item: Item) -> None:
        """Take *item* out, if it is in."""
        if self.pop(item, None) is self._latest:
            self._latest = None

    def key(self, item: Item) -> tuple[Any, ...]:
        """The key that *item* is ranked by; KeyError if it is not in."""
        return self[item][:-2]

    def best(self) -> Item | None:
        """The item with the smallest key, left where it is; None if there is none."""
        heap, latest = self._heap, self._latest
        while heap:
            first = heap[0]
            item: Item = first[-1]
            if self.get(item) is first:
                if latest is None or first < latest:
                    return item
                break
            heappop(heap)
        return None if latest is None else latest[-1]
