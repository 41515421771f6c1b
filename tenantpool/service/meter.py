"""How many calls over gRPC there were, how they ended, and how long they took."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tenantpool.core.tally import Histogram


class Method(NamedTuple):
    """What is called: the full name of the service, the method, and what flows in streams."""

    service: str
    name: str
    type: str
    """unary, client_stream, server_stream, bidi_stream."""


UNKNOWN = Method("unknown", "unknown", "unknown")
"""All methods that do not exist: their names are up to whoever calls, and as many."""


class Counts:
    """The calls of one method."""

    __slots__ = ("handled", "seconds", "started")

    def __init__(self) -> None:
        self.started = 0
        self.handled: Counter[str] = Counter()
        """Those that have ended, by the name of their status code."""
        self.seconds = Histogram()
        """How long they took, of those whose request has arrived."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.started} started, {self.handled.total()} handled>"

    def note(self, code: str, seconds: float) -> None:
        """One has ended with *code*, *seconds* after its request had arrived."""
        self.handled[code] += 1
        self.seconds.note(seconds)


class Meter:
    """Counts the calls of each method that was ever called."""

    def __init__(self) -> None:
        self.methods: dict[Method, Counts] = {}

    def __repr__(self) -> str:
        started = sum(counts.started for counts in self.methods.values())
        return f"<{type(self).__name__} {started} calls of {len(self.methods)} methods>"

    def of(self, method: Method) -> Counts:
        """The calls of *method*, to be counted there."""
        return self.methods.setdefault(method, Counts())
