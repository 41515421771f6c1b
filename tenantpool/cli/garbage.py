"""The garbage collector of the service's process: nobody has to wait for it.

Python's looks through all objects there are, once they have become a quarter more: with 10,000
tenants in use that takes a tenth of a second, and everybody waits. Nearly all of them are there
to stay. So what is there when the service has started, and what survives a full collection, is
set aside (``gc.freeze``), and each full collection sees what has come since the one before only.

What was set aside and has become garbage in a cycle since, such as tenants that were forgotten, is
found when everything is looked through after all: that is done if there is a quarter more of it,
as Python would, but once an hour at most.

This is for a process of our own. A library has no say in what its process collects.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from time import perf_counter
from typing import Any, Final

from tenantpool.journal import report

_REST: Final = 3600.0
_GROWTH: Final = 1.25
_FULL_EVERY: Final = 1
"""A full collection follows so many of the middle generation: then it sees 25,000 objects at most,
which takes 5 ms."""


class Garbage:
    """Sets aside what stays, from ``begin`` to ``end``. There can be one in a process."""

    def __init__(self) -> None:
        self._least = 0
        self._thresholds = gc.get_threshold()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {gc.get_freeze_count()} objects set aside>"

    async def run(self) -> None:
        """Do all of it until cancelled. Blocks for a full collection at first."""
        self.begin()
        try:
            while True:
                await asyncio.sleep(_REST)
                if gc.get_freeze_count() > _GROWTH * self._least:
                    began = perf_counter()
                    found = self.look_through()
                    seconds = perf_counter() - began
                    report(logging.INFO, "garbage collected", objects=found, seconds=seconds)
        finally:
            self.end()

    def begin(self) -> None:
        """Set aside what is there, and from now on what survives. Blocks for a full collection."""
        young, middle, _ = self._thresholds
        gc.set_threshold(young, middle, _FULL_EVERY)
        gc.callbacks.append(self._collected)
        self.look_through()

    def look_through(self) -> int:
        """Collect all that is garbage, and set aside the rest. Blocks for all objects there are.

        Return how many were garbage.
        """
        gc.unfreeze()
        found = gc.collect()
        self._least = gc.get_freeze_count()
        return found

    def end(self) -> None:
        """Leave everything as it was. Does not block."""
        gc.callbacks.remove(self._collected)
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "stop" and info["generation"] == 2:
            gc.freeze()
