"""Find what a test left behind: threads, open files and sockets, asyncio tasks."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

GRACE = 10.0  # seconds; a thread that was told to end may need a moment
DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"


@dataclass(frozen=True)
class Snapshot:
    """What exists now. Threads by identity; descriptors with what they point to."""

    threads: frozenset[threading.Thread]
    descriptors: frozenset[tuple[str, str]]

    @classmethod
    def take(cls) -> Snapshot:
        return cls(frozenset(threading.enumerate()), frozenset(_descriptors()))

    def left_behind(self) -> list[str]:
        """Return what came since, in words, after waiting up to GRACE for it to go."""
        deadline = time.monotonic() + GRACE
        while (new := self._new()) and time.monotonic() < deadline:
            gc.collect()
            time.sleep(0.01)
        return new

    def _new(self) -> list[str]:
        now = Snapshot.take()
        found = [f"thread {thread.name}" for thread in now.threads - self.threads]
        # A number may change its meaning (the server was restarted), so only more is too many.
        if len(now.descriptors) > len(self.descriptors):
            new = now.descriptors - self.descriptors
            found += [f"descriptor {number} -> {target}" for number, target in new]
        return sorted(found)


def _descriptors() -> set[tuple[str, str]]:
    found = set()
    for name in os.listdir(DESCRIPTORS):
        with suppress(OSError):  # the one that listdir itself had open
            found.add((name, os.readlink(f"{DESCRIPTORS}/{name}")))
    return found


async def tasks_left_behind(before: set[asyncio.Task[object]]) -> list[str]:
    """Return the tasks of the running loop that came since, after up to GRACE seconds."""
    deadline = time.monotonic() + GRACE
    mine = {*before, asyncio.current_task()}
    while (new := asyncio.all_tasks() - mine) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return sorted(f"task {task.get_name()}: {task.get_coro()}" for task in new)
