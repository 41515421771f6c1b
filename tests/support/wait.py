"""Wait for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TIMEOUT = 30.0  # seconds; only what fails takes that long, and machines may be busy
INTERVAL = 0.005


def wait_until(
    condition: Callable[[], object], timeout: float = TIMEOUT, *, what: str = "the condition"
) -> None:
    """Block until ``condition()`` is true; fail the test after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        time.sleep(INTERVAL)


async def wait_until_async(
    condition: Callable[[], object], timeout: float = TIMEOUT, *, what: str = "the condition"
) -> None:
    """Like ``wait_until``, and let other tasks run meanwhile."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout:g} s in vain: {what}"
        await asyncio.sleep(INTERVAL)
