# Generated from ../_async/clock.py by tools/generate_sync.py: do not edit.
"""What tells the cores the time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic

from tenantpool.concurrency import Alarm, Companion, Lock
from tenantpool.journal import logger


class Clock:
    """Calls *wake* when a core has asked for it, and *sweep* after each *interval* in seconds."""

    def __init__(
        self,
        wake: Callable[[], None],
        sweep: Callable[[], None],
        interval: Callable[[], float],
    ) -> None:
        self._wake = wake
        self._sweep = sweep
        self._interval = interval
        self._lock = Lock()
        self._alarm = Alarm()
        self._companion = Companion("tenantpool-ticker")
        self._wake_at = inf
        self._goes = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'goes' if self._goes else 'stopped'}>"

    def start(self) -> None:
        """Begin. Does not block."""
        self._companion.start(self._run)

    def stop(self) -> None:
        """End. Blocks until what is under way has ended."""
        self._goes = False
        self._alarm.ring()
        self._companion.join()

    def ring_at(self, when: float) -> None:
        """Wake the cores at *when* (of ``monotonic``), if not earlier. Does not block."""
        with self._lock:
            if when >= self._wake_at:
                return
            self._wake_at = when
        self._alarm.ring()

    def _run(self) -> None:
        sweep_at = monotonic() + self._interval()
        while self._goes:
            self._alarm.wait(min(self._wake_at, sweep_at) - monotonic())
            now = monotonic()
            try:
                if now >= self._wake_at:
                    with self._lock:
                        self._wake_at = inf
                    self._wake()
                if now >= sweep_at:
                    sweep_at = now + self._interval()
                    self._sweep()
            except Exception:
                # Without a clock, waiters of every tenant could wait for ever.
                logger.exception("upkeep failed, going on")
