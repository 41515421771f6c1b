"""What a manager does with its slots, looked at again and again."""

from __future__ import annotations

import asyncio
from time import perf_counter

from tenantpool import AsyncManager
from tenantpool.core.slot import IDLE

_INTERVAL = 0.005


class SlotWatch:
    """Watches the slots of a manager's only database, from inside its event loop.

    ``utilisation`` is the part of the capacity that was neither free nor idle, averaged over the
    moments in which somebody waited for whom no slot was on its way; None if nobody ever did.
    ``lent`` is the part of the capacity's slot-seconds that was lent, over all the time, from the
    manager's own counters.
    """

    def __init__(self, manager: AsyncManager) -> None:
        self.lent = 0.0
        self._manager = manager
        (shell,) = manager._shells.values()
        self._core = shell.core
        self._samples: list[float] = []

    @property
    def utilisation(self) -> float | None:
        return sum(self._samples) / len(self._samples) if self._samples else None

    async def look_for(self, seconds: float) -> None:
        """Watch for that long."""
        held, started = self._held(), perf_counter()
        while perf_counter() - started < seconds:
            await asyncio.sleep(_INTERVAL)
            if self._core.ranking:
                states = [slot.state for slot in self._core.slots]
                busy = len(states) - states.count(IDLE)
                self._samples.append(busy / self._core.limits.capacity)
        offered = self._core.limits.capacity * (perf_counter() - started)
        self.lent = (self._held() - held) / offered

    def _held(self) -> float:
        return sum(tenant.held for tenant in self._manager.stats().tenants.values())
