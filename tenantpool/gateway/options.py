"""The settings in a start-up packet: what PostgreSQL would do with them at the session's start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .protocol import ProtocolViolation

_NO_SETTINGS = {"user", "database", "options", "replication"}
_OFF = {"", "0", "f", "false", "n", "no", "off"}
_SYNTAX_ERROR = "42601"
_NOT_SUPPORTED = "0A000"

_WORD = re.compile(r"(?:\\.|[^\s\\])+", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def settings_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """Settings by lower-case name; a parameter of its own beats one within ``options``.

    Raises ProtocolViolation for what is no setting, and for replication.
    """
    if parameters.get("replication", "").lower() not in _OFF:
        raise ProtocolViolation("replication is not possible through tenantpool", _NOT_SUPPORTED)
    settings = dict(_command_line(parameters.get("options", "")))
    for name, value in parameters.items():
        if name not in _NO_SETTINGS:
            settings[name.lower()] = value
    return settings


def split_words(options: str) -> list[str]:
    r"""Words between white space; a backslash takes away the meaning of what comes after it."""
    # A backslash at the very end stands for nothing, as in PostgreSQL's pg_split_opts.
    text = options[:-1] if _ends_in_escape(options) else options
    return [_ESCAPE.sub(r"\1", word) for word in _WORD.findall(text)]


def _ends_in_escape(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _command_line(options: str) -> Iterator[tuple[str, str]]:
    """The settings among the arguments ``-c name=value``, ``-cname=value`` and ``--name=value``."""
    words = iter(split_words(options))
    for word in words:
        if word == "-c":
            yield _setting(next(words, ""), word)
        elif word.startswith(("-c", "--")):
            yield _setting(word[2:], word)
        else:
            raise ProtocolViolation(
                f"invalid command-line argument for server process: {word}", _SYNTAX_ERROR
            )


def _setting(text: str, word: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ProtocolViolation(f"{word} {text}: requires a value".strip(), _SYNTAX_ERROR)
    return name.replace("-", "_").lower(), value
