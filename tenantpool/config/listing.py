"""The tenants of the catalog. One becomes an object when it is asked for, and not before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import TypeAdapter
from pydantic_core import from_json

from tenantpool.config.block import Block, Builder
from tenantpool.config.copytext import Cells, Line, encode
from tenantpool.config.resolve import reason
from tenantpool.config.tenants import Tenant

Place = tuple[str | None, str | None]
"""The tier and the database that a row gives; None is what the template says."""

_VALIDATE = TypeAdapter(Tenant).validator.validate_python  # the shortest way


class Listing:
    """Tenants by id: a block of rows, and single rows that have changed since. Immutable.

    Nothing here blocks. A look-up takes some microseconds, however many tenants there are.
    """

    __slots__ = ("_block", "_patches")

    EMPTY: ClassVar[Listing]
    """What is known before the catalog has been read."""

    def __init__(self, block: Block, patches: Mapping[str, Line | None] | None = None) -> None:
        """The rows of *block*, which a :class:`~tenantpool.config.block.Builder` has made."""
        self._block = block
        self._patches = patches or {}

    def __repr__(self) -> str:
        return f"<Listing tenants={len(self)} patches={len(self._patches)}>"

    @classmethod
    def build(cls, columns: Sequence[str], chunks: Iterable[bytes]) -> Listing:
        """The listing of all *chunks* that COPY sent, at once.

        *columns* are as ``Catalog.columns`` gives them. Raises ConfigError if an id is missing, or
        there twice.
        """
        builder = Builder(columns)
        for chunk in chunks:
            builder.feed(chunk)
        return cls(builder.finish())

    def patch(self, name: str, row: Cells | None) -> Listing:
        """The same with another *row* for the tenant *name*, or without it if *row* is None.

        For single changes between two readings: what it costs grows with their number.
        """
        line = None if row is None else encode(row)
        return Listing(self._block, {**self._patches, name: line})

    def __len__(self) -> int:
        return self._block.rows + sum(
            (line is not None) - (self._block.find(name) is not None)
            for name, line in self._patches.items()
        )

    def __contains__(self, name: str) -> bool:
        return self._line(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The ids, those of changed rows last. It may be left for a while between any two."""
        yield from (name for name in self._block.ids() if name not in self._patches)
        yield from (name for name, line in self._patches.items() if line is not None)

    def get(self, name: str) -> Tenant | None:
        """What the catalog says of the tenant *name*; None if it does not list it.

        Raises ValueError if its row makes no sense; the words show nothing of what is in it.
        """
        said = self._said(name)
        return None if said is None else _tenant(said)

    def places(self) -> Counter[Place]:
        """How many tenants are put where, as guarantees have to be added up."""
        found: Counter[Place] = Counter()
        columns = self._block.columns[1:]
        for cells, times in self._block.groups.items():
            found[_place(dict(zip(columns, cells, strict=False)))] += times
        for name, line in self._patches.items():
            before = self._block.find(name)
            for changed, times in ((before, -1), (line, 1)):
                if changed is not None:
                    found[_place(self._block.said(changed))] += times
        return +found

    def differences(self, new: Listing) -> Iterator[list[str]]:
        """The ids whose rows differ in *new*, in slices: between two of them others may run."""
        patched = {**self._patches, **new._patches}
        for name in patched:
            yield [name] if self._said(name) != new._said(name) else []
        if self._block is not new._block:
            for part in self._block.differences(new._block):
                yield [name for name in part if name not in patched]

    def _line(self, name: str) -> Line | None:
        return self._patches[name] if name in self._patches else self._block.find(name)

    def _said(self, name: str) -> dict[str, str] | None:
        line = self._line(name)
        return None if line is None else self._block.said(line)


def _place(said: Mapping[str, str | None]) -> Place:
    return said.get("tier"), said.get("database")


def _tenant(said: Mapping[str, str]) -> Tenant:
    written: dict[str, object] = {**said}
    del written["id"]
    try:
        if "settings" in said:
            written["settings"] = _object(said["settings"])
        tenant: Tenant = _VALIDATE(written)
        return tenant
    except ValueError as error:
        raise ValueError(reason(error)) from None


def _object(text: str) -> object:
    try:
        return from_json(text) or {}
    except ValueError:
        raise ValueError("settings must be a JSON object") from None


Listing.EMPTY = Listing(Block(("id",)))
