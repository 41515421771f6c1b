"""A worker process is killed in the middle of its work: what it held must come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from tenantpool.cli.demo.cast import MORTAL
from tenantpool.cli.demo.diary import Diary
from tenantpool.cli.demo.scene import until
from tenantpool.cli.demo.troupe import Player, Troupe
from tenantpool.service.server import Server

_LONGEST_SEARCH = 2.0
_SLACK = 3.0


class Accident:
    """Kills the worker that may be killed, starts another one, and sees the leases come back."""

    def __init__(self, server: Server, troupe: Troupe, diary: Diary) -> None:
        self.has_happened = False
        self.held = 0
        """Leases that the worker had when it was killed."""
        self.back_after: float | None = None
        """Seconds until the last of them had come back; None: they have not."""
        self._server = server
        self._troupe = troupe
        self._diary = diary

    async def happen(self, delay: float) -> None:
        """Wait *delay* seconds, and let it happen. Blocks until the leases are back, or late."""
        await asyncio.sleep(delay)
        player = self._troupe.mortal
        await _until(lambda: self._leases(player) > 0, _LONGEST_SEARCH)
        player.kill()
        self.has_happened = True
        self.held = self._leases(player)
        self._diary.note(MORTAL, f"a worker process was killed, it held {self.held}")
        await asyncio.gather(self._troupe.replace(player), self._watch(player))

    async def _watch(self, player: Player) -> None:
        killed = monotonic()
        rules = self._server.settings.service
        patience = rules.session_ttl + rules.lease_grace + _SLACK
        if await _until(lambda: not self._leases(player), patience):
            self.back_after = monotonic() - killed
            self._diary.note(MORTAL, f"all it held was back after {self.back_after:.1f} s")

    @property
    def wrong(self) -> list[str]:
        """What must not be."""
        if self.has_happened and self.back_after is None:
            return ["the leases of the worker that was killed did not come back"]
        return []

    def _leases(self, player: Player) -> int:
        workers = [loan.worker for loan in self._server.desk.ledger.loans.values()]
        return sum(worker is not None and worker.name == player.job.name for worker in workers)


async def _until(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait up to *timeout* seconds for it; return whether it has come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await until(condition)
    return condition()
