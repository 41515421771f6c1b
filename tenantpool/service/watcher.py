"""Sees when the configuration changes on disk: edited, replaced, or behind a link that was swapped.

It looks again and again, which works on every file system: events of the kernel do not come from
network file systems, and miss the swap of a link further up (as Kubernetes does with ``..data``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from tenantpool.concurrency import AsyncAlarm, AsyncCompanion
from tenantpool.journal import logger

Stamp = tuple[str, int, int, int, int]
"""A file and what changes when it is written, or another one takes its place."""

INTERVAL = 1.0
"""Seconds between two looks."""
_SETTLE = 0.1
"""Seconds for which a changed file must hold still: who writes it may not be done."""
_LONGEST_UNREST = 20
"""Looks after which it is read all the same."""
_SLICE = 200
"""Files to look at before others get a turn."""


class Files:
    """Files, and folders with files, whose contents matter; None stands for nothing.

    Files whose name begins with a dot do not count, as they are not read either.
    """

    def __init__(self, *paths: Path | None) -> None:
        self.paths = [path for path in paths if path is not None]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {', '.join(map(str, self.paths))}>"

    def look(self) -> Iterator[Stamp]:
        """A stamp for each file that is there now. Blocks as long as ``stat`` does."""
        for path in self.paths:
            names = _names(path)
            if names is None:
                yield from _stamp(str(path))
            else:
                for name in names:
                    yield from _stamp(os.path.join(path, name))


class Watcher:
    """Calls *changed* when *files* differ from how they were when this was made.

    It has no thread: it looks between other work of the event loop, every *interval* seconds.
    """

    def __init__(
        self,
        files: Files,
        changed: Callable[[], Awaitable[None]],
        interval: float = INTERVAL,
        seen: tuple[Stamp, ...] | None = None,
    ) -> None:
        """*seen* is how they were when they were read; None: as they are now."""
        self._files = files
        self._changed = changed
        self._interval = interval
        self._seen = tuple(files.look()) if seen is None else seen
        self._alarm = AsyncAlarm()
        self._is_stopped = False
        self._companion = AsyncCompanion("tenantpool-watcher")

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else f"every {self._interval:g} s"
        return f"<{type(self).__name__} {self._files!r}, {state}>"

    def start(self) -> None:
        """Begin to look. Does not block."""
        self._companion.start(self._watch)

    async def stop(self) -> None:
        """Look no more. Blocks until a call of *changed* that is under way has ended."""
        self._is_stopped = True
        self._alarm.ring()
        await self._companion.join()

    async def look(self) -> bool:
        """Look once, and call *changed* if anything did; return whether it did."""
        found = await self._look()
        if found == self._seen:
            return False
        for _ in range(_LONGEST_UNREST):
            await asyncio.sleep(_SETTLE)
            before, found = found, await self._look()
            if found == before:
                break
        if found == self._seen:
            return False
        self._seen = found
        await self._changed()
        return True

    async def _watch(self) -> None:
        while not self._is_stopped:
            try:
                await self.look()
            except Exception:
                # Otherwise no later change would ever be seen.
                logger.exception("watching the configuration failed, going on")
            await self._alarm.wait(self._interval)

    async def _look(self) -> tuple[Stamp, ...]:
        found: list[Stamp] = []
        for stamp in self._files.look():
            found.append(stamp)
            if len(found) % _SLICE == 0:
                await asyncio.sleep(0)
        return tuple(found)


def _names(path: Path) -> list[str] | None:
    """What is in the folder; None if *path* is none."""
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith("."))
    except OSError:
        return None


def _stamp(path: str) -> Iterator[Stamp]:
    """Of what is found there, behind all links. Reading it says what is wrong, if it is not."""
    try:
        found = os.stat(path)
    except OSError:
        return
    yield path, found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
