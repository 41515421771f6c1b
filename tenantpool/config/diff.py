"""What differs between two parts of a configuration, without showing a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import NamedTuple

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from tenantpool.config.conninfo import HIDDEN
from tenantpool.config.section import needs_restart
from tenantpool.config.tenants import Template, Tenant

Loc = tuple[str, ...]

_ABSENT = object()


class Difference(NamedTuple):
    """The value at *loc* is not what it was."""

    loc: Loc
    old: str
    new: str
    live: bool = True
    """Whether it can change without a restart."""

    def __str__(self) -> str:
        return f"{'.'.join(self.loc)}: {self.old} → {self.new}"

    def words(self, start: int = 0) -> str:
        """The same as part of a sentence, with the place from its part *start* on."""
        name = ".".join(self.loc[start:])
        return f"{name} changed" if HIDDEN in self[1:3] else f"{name} {self.old} → {self.new}"


def differences(
    old: object, new: object, loc: Loc = (), *, live: bool = True
) -> Iterator[Difference]:
    """The single values that differ, in the order of the sections; *loc* is where they stand."""
    if old is new or old == new:
        return
    if _is_section(old) and type(old) is type(new):
        for name, before, after, is_live in _fields(old, new):
            yield from differences(before, after, (*loc, name), live=live and is_live)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**old, **new}:
            before, after = old.get(key, _ABSENT), new.get(key, _ABSENT)
            yield from differences(before, after, (*loc, str(key)), live=live)
    else:
        yield Difference(loc, _shown(loc, old), _shown(loc, new), live)


def _is_section(value: object) -> bool:
    return isinstance(value, BaseModel | Tenant | Template)


def _fields(old: object, new: object) -> Iterator[tuple[str, object, object, bool]]:
    """Each field by name, its two values, and whether it can change live."""
    if isinstance(old, BaseModel):
        for name, field in type(old).model_fields.items():
            yield name, getattr(old, name), getattr(new, name), not needs_restart(field)
    elif isinstance(old, Tenant | Template):
        for column in fields(old):
            yield column.name, getattr(old, column.name), getattr(new, column.name), True


def _shown(loc: Loc, value: object) -> str:
    if value is _ABSENT:
        return "absent"
    if _is_section(value):
        return "set"
    if value is not None and (_is_secret(value) or "settings" in loc):
        return HIDDEN
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(to_jsonable_python(value))


def _is_secret(value: object) -> bool:
    return isinstance(value, SecretStr) or (
        isinstance(value, list) and any(isinstance(part, SecretStr) for part in value)
    )
