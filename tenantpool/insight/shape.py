"""The shape of a statement: its text without what differs from one call to the next.

Strings, numbers and parameters become ``?``, a list of them one ``?``, comments and line breaks a
blank. What is left holds no value of the application, so it may be logged. It is found by lexing,
not by parsing: a parser of SQL takes a hundred times as long.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LONGEST = 2000
"""Characters of a statement that are looked at: they tell it from others, and cost is bounded."""
_REMEMBERED = 1024

_DIGITS = r"[0-9][0-9_]*+"
_EXPONENT = r"(?:[eE][+-]?[0-9]++)?"
_PLAIN = r"[^']*+(?:'|\Z)(?:(?:[^\S\n]*+\n\s*+)?'[^']*+(?:'|\Z))*+"
_ESCAPED = r"(?:[^'\\]|\\.|''|\\\Z)*+(?:'|\Z)"

# Each value is recognised by its first character, so that the rest of the text is skipped at the
# speed of C; what comes before that character is looked back at. What is not closed lasts to the
# end, which is what becomes of a value when a long statement is cut.
_VALUES = rf"""
      (?<=') (?: (?<=(?<![\w$])[eE]') {_ESCAPED} | {_PLAIN} )
    | (?<=[0-9]) (?<![\w$][0-9])
      (?: (?<=0)[xXoObB][0-9a-fA-F_]++ | [0-9_]*+ (?:\.(?:{_DIGITS})?)? {_EXPONENT} )
    | (?<=\$) (?<![\w$]\$) (?: [0-9]++ | (?P<tag>(?:[^\W\d]\w*)?)\$ .*? (?:\$(?P=tag)\$|\Z) )
    | (?<=%) (?:\([^)]*+\))? [sbt] (?!\w)
"""
_NESTING = 3
"""Comments inside of comments; one that is nested deeper hides all that follows it."""


def _inside(depth: int) -> str:
    nested = rf"|/\*{_inside(depth - 1)}\*/" if depth else ""
    return rf"(?:[^*/]|\*(?!/)|/(?!\*){nested})*+"


_FLAGS = re.VERBOSE | re.DOTALL
_SIMPLE = re.compile(rf"['$%0-9] (?:{_VALUES})", _FLAGS)
_ANY = re.compile(
    rf"""['$%0-9"/-] (?:
      (?<=") (?P<name> [^"]*+(?:"|\Z) )
    | (?P<comment> (?<=-)-[^\n]*+ | (?<=/)\*{_inside(_NESTING)}\*/ | (?<=/)\*.* )
    | {_VALUES} )""",
    _FLAGS,
)
_PREFIXED = re.compile(r"\?(?<=[eEbBxXnN&]\?)")  # what begins with one character is found soon
_PREFIX = re.compile(r"(?<![\w$])(?:[eEbBxXnN]|[uU]&)\?")
_SIGN = re.compile(
    r"((?:[=<>(,+*/\[]|\b(?:and|or|not|between|in|case|when|then|else|select|limit|offset|by|return))"
    r" ?)[+-] ?\?",
    re.IGNORECASE,
)
_LIST = re.compile(r"\?(?: ?, ?\?)++")
_ROWS = re.compile(r"\(\?\)(?: ?, ?\(\?\))++")


def shape_of(statement: str) -> str:
    """The shape of *statement*, of which the first 2000 characters count. Does not block."""
    if len(statement) <= _LONGEST:
        return _remembered(statement)
    head = statement[:_LONGEST]
    return _shape(head[: head.rfind(" ")]).rstrip(", ")  # not within a word of it


def _shape(text: str) -> str:
    # To look for a substring takes a tenth of the time of a search that finds nothing.
    if '"' in text or "--" in text or "/*" in text:
        shape = _ANY.sub(_replacement, text)
    else:
        shape = _SIMPLE.sub("?", text)
    if "'" in text and _PREFIXED.search(shape):
        shape = _PREFIX.sub("?", shape)
    if ".?" in shape:  # of .5
        shape = shape.replace(".?", "?")
    if "  " in shape or "\n" in shape or "\t" in shape:
        shape = " ".join(shape.split())
    if "-?" in shape or "+?" in shape or "- ?" in shape:
        shape = _SIGN.sub(r"\1?", shape)
    if ", ?" in shape or ",?" in shape:
        shape = _LIST.sub("?", shape)
    if "), (" in shape or "),(" in shape:
        shape = _ROWS.sub("(?)", shape)
    return shape.strip()


_remembered = lru_cache(_REMEMBERED)(_shape)


def _replacement(found: re.Match[str]) -> str:
    if found["name"] is not None:
        return found[0]
    return " " if found["comment"] is not None else "?"
