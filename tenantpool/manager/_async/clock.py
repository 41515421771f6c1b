"""What tells the cores the time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import inf
from time import monotonic

from tenantpool.concurrency import AsyncAlarm, AsyncCompanion, AsyncLock
from tenantpool.journal import logger


class AsyncClock:
    """Calls *wake* when a core has asked for it, and *sweep* after each *interval* in seconds."""

    def __init__(
        self,
        wake: Callable[[], None],
        sweep: Callable[[], Awaitable[None]],
        interval: Callable[[], float],
    ) -> None:
        self._wake = wake
        self._sweep = sweep
        self._interval = interval
        self._lock = AsyncLock()
        self._alarm = AsyncAlarm()
        self._companion = AsyncCompanion("tenantpool-ticker")
        self._wake_at = inf
        self._goes = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'goes' if self._goes else 'stopped'}>"

    def start(self) -> None:
        """Begin. Does not block."""
        self._companion.start(self._run)

    async def stop(self) -> None:
        """End. Blocks until what is under way has ended."""
        self._goes = False
        self._alarm.ring()
        await self._companion.join()

    def ring_at(self, when: float) -> None:
        """Wake the cores at *when* (of ``monotonic``), if not earlier. Does not block."""
        with self._lock:
            if when >= self._wake_at:
                return
            self._wake_at = when
        self._alarm.ring()

    async def _run(self) -> None:
        sweep_at = monotonic() + self._interval()
        while self._goes:
            await self._alarm.wait(min(self._wake_at, sweep_at) - monotonic())
            now = monotonic()
            try:
                if now >= self._wake_at:
                    with self._lock:
                        self._wake_at = inf
                    self._wake()
                if now >= sweep_at:
                    sweep_at = now + self._interval()
                    await self._sweep()
            except Exception:
                # Without a clock, waiters of every tenant could wait for ever.
                logger.exception("upkeep failed, going on")
