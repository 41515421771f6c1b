"""Rows in the text format of COPY: tabs between the cells, backslashes before what is special."""

from __future__ import annotations

import re
from collections.abc import Iterable

Cells = Iterable[str | None]

Line = bytes | bytearray
"""One row without its line end, in UTF-8."""

NULL = b"\\N"
_NULL = NULL.decode()

_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_ESCAPES = str.maketrans({meaning: f"\\{letter}" for letter, meaning in _LETTERS.items()})
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def encode(cells: Cells) -> bytes:
    """The *cells* of a row, as COPY would send them."""
    return b"\t".join(map(encode_cell, cells))


def encode_cell(cell: str | None) -> bytes:
    """One of them."""
    return NULL if cell is None else cell.translate(_ESCAPES).encode("utf-8", "surrogatepass")


def decode(line: Line) -> list[str | None]:
    """The cells of a row; what is not UTF-8 in them becomes surrogates, which no name may hold."""
    cells = line.decode("utf-8", "surrogateescape").split("\t")
    return [cell if "\\" not in cell else None if cell == _NULL else _plain(cell) for cell in cells]


def id_of(line: Line) -> bytes:
    """The bytes that the first cell of a row stands for: rows are in their order."""
    cell = bytes(line.partition(b"\t")[0])
    if b"\\" not in cell:
        return cell
    return _plain(cell.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _plain(cell: str) -> str:
    return _ESCAPED.sub(_meaning, cell) if "\\" in cell else cell


def _meaning(escaped: re.Match[str]) -> str:
    return _LETTERS.get(escaped[1], escaped[1])
