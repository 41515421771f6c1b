"""What all who look share: one reading a second, and each page made once from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from time import monotonic

from tenantpool.journal import logger

from .pulse import Pulse
from .reading import Reading, read
from .source import Source

INTERVAL = 1.0
"""Seconds."""
TOP = 240
"""Tenants of each database that a reading holds."""


class Hub:
    """Ticks once a second. Without viewers a tick takes a point of the pulse, and that is all."""

    def __init__(self, source: Source) -> None:
        self.pulse = Pulse(source.manager)
        self._source = source
        self._viewers = 0
        self._reading: Reading | None = None
        self._read_at = 0.0
        self._made: dict[Hashable, asyncio.Task[str]] = {}
        self._tick: asyncio.Future[bool] | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._viewers} viewers, {self.pulse!r}>"

    @property
    def viewers(self) -> int:
        """How many look at something live."""
        return self._viewers

    def start(self) -> None:
        """Begin to tick. Does not block."""
        self._tick = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name="tenantpool-hub")

    async def close(self) -> None:
        """Stop. Whoever waits for the next tick is told that there is none. Blocks for a moment."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        if self._tick is not None and not self._tick.done():
            self._tick.set_result(False)

    def enter(self) -> None:
        """Somebody looks; ``leave`` follows."""
        self._viewers += 1

    def leave(self) -> None:
        """One fewer."""
        self._viewers -= 1

    async def next_tick(self) -> bool:
        """Wait for the next tick. False: there is none, the service closes."""
        if self._tick is None or self._task is None:
            return False
        return await asyncio.shield(self._tick)

    async def reading(self) -> Reading:
        """The last reading, not older than a tick."""
        if self._reading is None or monotonic() - self._read_at >= INTERVAL:
            self._read_at = monotonic()
            self._reading = await read(self._source.manager, TOP)
        return self._reading

    async def made(self, key: Hashable, make: Callable[[], Awaitable[str]]) -> str:
        """What *make* gives, made once for all who ask for *key* between two ticks."""
        task = self._made.get(key)
        if task is None:
            task = self._made[key] = asyncio.ensure_future(make())
        return await asyncio.shield(task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                self.pulse.take()
            except Exception:
                logger.exception("the dashboard's pulse failed, going on")
            self._made = {}
            self._reading = None
            tick, self._tick = self._tick, asyncio.get_running_loop().create_future()
            if tick is not None:
                tick.set_result(True)
