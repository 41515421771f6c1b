"""What a statement gave, after its connection went back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg import Column


class Result:
    """The rows of ``manager.execute``, held in memory.

    ``description``, ``rowcount`` and ``statusmessage`` are those of a psycopg cursor. Nothing
    here blocks. Fetching from a statement that gave no rows raises nothing and yields none.
    """

    __slots__ = ("_next", "_rows", "description", "rowcount", "statusmessage")

    def __init__(
        self,
        rows: Sequence[Any],
        description: list[Column] | None,
        rowcount: int,
        statusmessage: str | None,
    ) -> None:
        self._rows = rows
        self._next = 0
        self.description = description
        self.rowcount = rowcount
        self.statusmessage = statusmessage

    def __repr__(self) -> str:
        return f"<Result {self.statusmessage}: {len(self._rows)} rows, {self._next} fetched>"

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def __len__(self) -> int:
        return len(self._rows)

    def fetchone(self) -> Any | None:
        """The next row; None after the last."""
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        """The next *size* rows, or as many as are left."""
        rows = list(self._rows[self._next : self._next + size])
        self._next += len(rows)
        return rows

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self.fetchmany(len(self._rows))
