"""Reloads of the configuration: how many there were, and how the last one ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import time

_MOST = 20


@dataclass(frozen=True, slots=True)
class Reload:
    """One attempt: when (seconds since the epoch), and what it changed or what was wrong."""

    at: float
    worked: bool
    lines: tuple[str, ...]


class Reloads:
    """Noted by whoever reloads; looked at by the dashboard and the metrics."""

    def __init__(self) -> None:
        self.successes = 0
        self.failures = 0
        self.last: deque[Reload] = deque(maxlen=_MOST)
        """The newest first."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.successes} worked, {self.failures} failed>"

    @property
    def problem(self) -> str:
        """Why the last one was refused, in a line; empty: it was not."""
        if not self.last or self.last[0].worked:
            return ""
        return next(iter(self.last[0].lines), "see the log")

    def note(self, lines: Sequence[str], *, worked: bool) -> None:
        """A reload has ended; *lines* without secrets."""
        if worked:
            self.successes += 1
        else:
            self.failures += 1
        self.last.appendleft(Reload(time(), worked, tuple(lines)))
