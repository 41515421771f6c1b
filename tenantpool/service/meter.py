"""How calls over gRPC ended, and how long they took."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tenantpool.core.tally import Histogram


class Method(NamedTuple):
    """What was called: the full name of the service, and the method."""

    service: str
    name: str


class Meter:
    """Counts every call that was let in or refused, once it has ended."""

    def __init__(self) -> None:
        self.handled: Counter[tuple[Method, str]] = Counter()
        """Calls by method and by the name of their status code."""
        self.seconds: dict[Method, Histogram] = {}
        """How long they took; a session lasts as long as its worker."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.handled.total()} calls>"

    def note(self, method: Method, code: str, seconds: float) -> None:
        """A call of *method* has ended with *code* after *seconds*."""
        self.handled[method, code] += 1
        histogram = self.seconds.get(method)
        if histogram is None:
            histogram = self.seconds[method] = Histogram()
        histogram.note(seconds)
