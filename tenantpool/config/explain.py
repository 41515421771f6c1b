"""From what pydantic found wrong to sentences for the operator, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tenantpool.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from tenantpool.config.layers import Layers

Loc = tuple[str, ...]
"""The way to a value: ``("tiers", "basic", "cap")``."""

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument"}
_SECTION = {"dict_type", "model_type", "model_attributes_type", "dataclass_type"}
_SHOWS_INPUT = {"int_parsing", "float_parsing", "bool_parsing", "literal_error"}
_MAY_BE_SECRET = {"conninfo", "password", "settings", "token", "tokens", "url", "secret"}


class Problem(NamedTuple):
    """Something wrong at *loc*: *text* says what, *fix* what to write instead (may be empty)."""

    loc: Loc
    text: str
    fix: str = ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at what was probably meant, or else at what there is."""
    names = sorted(known)
    close = get_close_matches(word, names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known: {', '.join(names)}" if names and len(names) <= 12 else ""


def raise_all(problems: Iterable[Problem], layers: Layers) -> None:
    """Raise the problems, if any: one as a ConfigError, several as ConfigErrors."""
    errors = [ConfigError(layers.place(p.loc), p.text, p.fix) for p in problems]
    if len(errors) == 1:
        raise errors[0] from None
    if errors:
        raise ConfigErrors(errors) from None


def explain(error: ValidationError, root: type[BaseModel]) -> Iterator[Problem]:
    """One problem per error of pydantic; no value of a secret is in any of them."""
    for detail in error.errors(include_url=False):
        loc = tuple(str(part) for part in detail["loc"] if part != "[key]")
        yield _problem(loc, detail, root)


def _problem(loc: Loc, detail: ErrorDetails, root: type[BaseModel]) -> Problem:
    kind = detail["type"]
    if kind in _UNKNOWN:
        return Problem(loc, "unknown key", did_you_mean(loc[-1], names_at(root, loc[:-1])))
    if kind == "missing":
        return Problem(loc, "is missing")
    if kind in _SECTION:
        return Problem(loc, "must be a section with keys of its own")
    if kind == "string_type":
        return Problem(loc, "must be text", "put it into quotes")
    return Problem(loc, _sentence(loc, detail))


def _sentence(loc: Loc, detail: ErrorDetails) -> str:
    """pydantic's words, with the value only where it cannot be a secret."""
    text = detail["msg"].removeprefix("Value error, ")
    text = re.sub(r"^Input should", "should", text)
    value = detail["input"]
    plain = detail["type"] in _SHOWS_INPUT or isinstance(value, int | float)
    return text + (f", not {value!r}" if plain and _MAY_BE_SECRET.isdisjoint(loc) else "")


def known_depth(root: type[BaseModel], loc: Sequence[str]) -> int:
    """How many parts of *loc*, from its start, can be there at all."""
    kind: object = root
    for depth, part in enumerate(loc):
        kind = _below(kind, part)
        if kind is None:
            return depth
    return len(loc)


def names_at(root: type[BaseModel], loc: Sequence[str]) -> list[str]:
    """The keys that the section at *loc* knows; none if any key goes."""
    kind: object = root
    for part in loc:
        kind = _below(kind, part)
    return list(_fields(kind))


def _below(kind: object, key: str) -> object:
    """The type of the value under *key* in a section of type *kind*; None if there is none."""
    if get_origin(kind) is dict:
        return get_args(kind)[1]
    field = _fields(kind).get(key)
    return field.annotation if field is not None else None


def _fields(kind: object) -> Mapping[str, Any]:
    if isinstance(kind, UnionType):  # a section that may be null
        kind = next(part for part in get_args(kind) if part is not NoneType)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields
    if isinstance(kind, type) and is_dataclass(kind):
        return getattr(kind, "__pydantic_fields__", {})
    return {}
