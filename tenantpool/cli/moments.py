"""Moments and times as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "min": "minutes", "s": "seconds"}
_TIME = re.compile(r"\+?((?:\d+(?:\.\d+)?\s*(?:d|h|min|m|s)\s*)+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)")

_STEPS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def parse_end(text: str) -> timedelta | datetime:
    """A time from now (``+2h``, ``+1h30m``, ``+45s``) or a moment (``2026-11-21T18:00Z``).

    A moment without a zone is local time. Raises typer.BadParameter for anything else, and for
    what is over already.
    """
    if _TIME.fullmatch(text.strip()):
        parts = _PART.findall(text)
        span = sum((timedelta(**{_UNITS[unit]: float(n)}) for n, unit in parts), timedelta())
        if not span:
            raise typer.BadParameter(f"{text} is no time at all")
        return span
    try:
        moment = datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text} is neither a time such as +2h, +30m or +1d, nor a moment such as "
            "2026-11-21T18:00Z"
        ) from None
    if moment <= datetime.now(UTC):
        raise typer.BadParameter(f"{text} is over already")
    return moment


def in_words(seconds: float) -> str:
    """A time in its two largest units: ``1 h 59 min``."""
    left, words = round(seconds), []
    for name, size in _STEPS:
        number, left = divmod(left, size)
        if number:
            words.append(f"{number} {name}")
    return " ".join(words[:2]) or "0 s"
