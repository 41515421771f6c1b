"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite


def duration(seconds: float | None) -> str:
    """Such as ``0.4 ms``, ``12 ms``, ``1.5 s``, ``3 min``, ``2 h``; ``–`` for None."""
    if seconds is None or not isfinite(seconds):
        return "–"
    if seconds == 0:
        return "0 s"
    if seconds < 0.0095:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def ago(seconds: float) -> str:
    """Such as ``3 min ago``; what is not a second old is ``just now``."""
    return f"{duration(seconds)} ago" if seconds >= 1 else "just now"


def moment(at: float) -> str:
    """Seconds since the epoch as a date and time, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def number(value: float | None) -> str:
    """Such as ``12,345``, ``3.5``; ``–`` for None."""
    if value is None:
        return "–"
    if isinstance(value, int) or value >= 99.5 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}"


def percent(part: float) -> str:
    """Such as ``42 %``."""
    return f"{part:.0%}".replace("%", " %")


def sentence(text: str) -> str:
    """With a capital letter, and as it is otherwise."""
    return text[:1].upper() + text[1:]


def plural(count: int, word: str, many: str = "") -> str:
    """Such as ``1 lease``, ``2 leases``."""
    return f"{count:,} {word if count == 1 else many or word + 's'}"
