"""Text as libpq reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_./:@-]+")
"""A value that needs no quotes."""


def join_conninfo(params: Mapping[str, str]) -> str:
    """The parameters as one string; ``make_conninfo`` would check again what has been checked."""
    return " ".join(f"{key}={_quote(value)}" for key, value in params.items())


def _quote(value: str) -> str:
    """A value as libpq reads it back, whatever is in it."""
    return value if _PLAIN.fullmatch(value) else "'" + re.sub(r"([\\'])", r"\\\1", value) + "'"
