"""The rows of a table as one block of bytes, sorted by id.

It holds what COPY sent, in text format. Only the id of every 64th row is kept beside it; the rows
from one to the next, a stride, are searched as bytes. So 100,000 rows are a few megabytes and no
objects, and one is found in a few microseconds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import chain

from tenantpool.config.copytext import NULL, Line, decode, encode_cell, id_of
from tenantpool.errors import ConfigError

_STRIDE = 64


class Block:
    """Rows with an id, which comes first; a :class:`Builder` fills it, then it never changes."""

    __slots__ = ("columns", "fences", "groups", "rows", "starts", "text")

    def __init__(self, columns: Sequence[str]) -> None:
        """Empty."""
        self.columns = tuple(columns)
        self.text = bytearray()
        self.rows = 0
        self.fences: list[bytes] = []
        """The id that each stride starts with."""
        self.starts = array("L")
        """Where each stride starts in the text."""
        self.groups: Counter[tuple[str | None, ...]] = Counter()
        """How many rows say what of their tier and database, as far as there are such columns."""

    def __repr__(self) -> str:
        return f"<Block rows={self.rows} bytes={len(self.text)}>"

    def find(self, id_: str) -> Line | None:
        """The row of that id, if there is one."""
        number = bisect_right(self.fences, id_.encode("utf-8", "surrogatepass")) - 1
        if number < 0:
            return None
        start, stop = self._stride(number)
        wanted = encode_cell(id_) + (b"\t" if len(self.columns) > 1 else b"\n")
        if not self.text.startswith(wanted, start):
            before = self.text.find(b"\n" + wanted, start, stop)
            if before < 0:
                return None
            start = before + 1
        return self.text[start : self.text.find(b"\n", start)]

    def ids(self) -> Iterator[str]:
        """All ids in the order of their bytes; it may be left for a while between any two."""
        for number in range(len(self.fences)):
            for line in self.lines(*self._stride(number)):
                yield _text(id_of(line))

    def lines(self, start: int, stop: int) -> list[bytearray]:
        """The rows between two places in the text."""
        return self.text[start:stop].split(b"\n")[:-1]

    def said(self, line: Line) -> dict[str, str]:
        """What a row says, without its nulls."""
        cells = zip(self.columns, decode(line), strict=False)
        return {column: cell for column, cell in cells if cell is not None}

    def differences(self, new: Block) -> Iterator[list[str]]:
        """The ids whose rows differ, a stride at a time: others may run in between."""
        old_start = new_start = 0
        for fence in chain(merge(self.fences, new.fences), [None]):
            old_stop, new_stop = self._place(fence), new._place(fence)
            same = self.text[old_start:old_stop] == new.text[new_start:new_stop]
            if same and self.columns == new.columns:
                yield []
            else:
                old = self._said_between(old_start, old_stop)
                yield _differing(old, new._said_between(new_start, new_stop))
            old_start, new_start = old_stop, new_stop

    def _said_between(self, start: int, stop: int) -> dict[str, dict[str, str]]:
        said = map(self.said, self.lines(start, stop))
        return {row["id"]: row for row in said}

    def _place(self, id_: bytes | None) -> int:
        """Where the first row stands whose id is not below *id_* (None: no such row)."""
        if id_ is None:
            return len(self.text)
        number = bisect_right(self.fences, id_) - 1
        if number < 0:
            return 0
        place, stop = self._stride(number)
        if self.fences[number] != id_:
            for line in self.lines(place, stop):
                if id_of(line) >= id_:
                    break
                place += len(line) + 1
        return place

    def _stride(self, number: int) -> tuple[int, int]:
        """Where a stride starts and ends in the text."""
        is_last = number + 1 == len(self.starts)
        return self.starts[number], len(self.text) if is_last else self.starts[number + 1]


class Builder:
    """Makes a :class:`Block` of what COPY sends, chunk by chunk.

    psycopg reads a row at a time, and each is done with as it is fed: an event loop never pauses.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """*columns* are those of the rows, the id first."""
        self._block = Block(columns)
        self._rest = b""
        self._last: bytes | None = None
        self._is_sorted = True
        self._groups: Counter[tuple[bytes, ...]] = Counter()
        self._grouped = sum(name in ("tier", "database") for name in columns[1:3])

    def __repr__(self) -> str:
        return f"<Builder of {self._block!r}>"

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take what comes next, in pieces of any size. ConfigError if an id is missing or twice."""
        *lines, self._rest = (self._rest + bytes(chunk)).split(b"\n")
        for line in lines:
            self._add(line)

    def finish(self) -> Block:
        """All that was fed. Does not pause, unless the rows were not in order."""
        if not self._is_sorted:
            return self._in_order().finish()
        for cells, times in self._groups.items():
            self._block.groups[tuple(decode(b"\t".join(cells)) if cells else ())] = times
        return self._block

    def _add(self, line: bytes) -> None:
        cell, *more = line.split(b"\t", 1 + self._grouped)
        if cell == NULL:
            raise ConfigError("catalog", "gives a row without an id", "leave such rows out")
        id_ = id_of(cell)
        self._check_order(id_)
        self._groups[tuple(more[: self._grouped])] += 1
        block = self._block
        if not block.rows % _STRIDE:
            block.fences.append(id_)
            block.starts.append(len(block.text))
        block.rows += 1
        block.text += line
        block.text += b"\n"

    def _check_order(self, id_: bytes) -> None:
        if self._last is not None and id_ <= self._last:
            if id_ == self._last:
                text = f"lists the tenant {_text(id_)} twice"
                raise ConfigError("catalog", text, "give each tenant one row")
            self._is_sorted = False
        self._last = id_

    def _in_order(self) -> Builder:
        """The same rows, fed in order."""
        builder = Builder(self._block.columns)
        for line in sorted(self._block.lines(0, len(self._block.text)), key=id_of):
            builder._add(bytes(line))
        return builder


def _differing(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> list[str]:
    return [id_ for id_ in {**old, **new} if old.get(id_) != new.get(id_)]


def _text(id_: bytes) -> str:
    return id_.decode("utf-8", "surrogateescape")
