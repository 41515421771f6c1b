"""What happens in the demo, and when: for people in words, for its acts as events of the log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import NamedTuple

_FOLLOWED = ("breaker opened", "breaker closed", "leak")


class Entry(NamedTuple):
    """*words* about a *tenant*, *at* so many seconds after the beginning."""

    at: float
    tenant: str
    words: str

    def __str__(self) -> str:
        return f"{self.at:5.1f} s  {self.tenant}: {self.words}"


class Event(NamedTuple):
    """Something that tenantpool has logged, *at* this monotonic()."""

    at: float
    name: str
    fields: Mapping[str, object]


class Diary:
    """Keeps what happens; *tell* is called with each entry."""

    def __init__(self, tell: Callable[[Entry], None]) -> None:
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        """Those of the log that the demo waits for."""
        self.began = monotonic()
        """When the time of the entries begins to count."""
        self._tell = tell

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.entries)} entries>"

    def begin(self) -> float:
        """Count the time from now on; return ``began``."""
        self.began = monotonic()
        return self.began

    def note(self, tenant: str, words: str) -> None:
        """Write down what has just happened. Does not block."""
        entry = Entry(monotonic() - self.began, tenant, words)
        self.entries.append(entry)
        self._tell(entry)

    def hear(self, event: str, fields: Mapping[str, object]) -> None:
        """Called with all that is logged, in any thread. Does not block."""
        if event in _FOLLOWED:
            self.events.append(Event(monotonic(), event, fields))
