"""What differs between two configurations, without showing a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from tenantpool.config.settings import Settings

Loc = tuple[str, ...]

_ABSENT = object()


class Difference(NamedTuple):
    """The value at *loc* is not what it was."""

    loc: Loc
    old: str
    new: str

    def __str__(self) -> str:
        return f"{'.'.join(self.loc)}: {self.old} -> {self.new}"


def differences(old: Settings, new: Settings) -> list[Difference]:
    """The values that differ, in the order of the sections."""
    return list(_compare((), old.model_dump(), new.model_dump()))


def _compare(loc: Loc, old: object, new: object) -> Iterator[Difference]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            yield from _compare((*loc, str(key)), old.get(key, _ABSENT), new.get(key, _ABSENT))
    else:
        yield Difference(loc, _shown(old), _shown(new))


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "absent"
    if isinstance(value, SecretStr):
        return "***"
    return str(to_jsonable_python(value))
