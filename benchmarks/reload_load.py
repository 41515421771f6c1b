"""Leases under way while the configuration is read again and again; for ``reload_process.py``."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

from benchmarks.measure import quantile
from benchmarks.reload import RATE
from benchmarks.reload_editor import TENANTS, text_of
from tenantpool import AsyncManager, Settings
from tenantpool.service.identity import Identity
from tenantpool.service.reload import APPLIED, CALL, Origin, Reloader
from tenantpool.service.source import Source

FILE = "tenantpool.yaml"
WORKERS = TENANTS
PAUSE = 0.004
"""Mean seconds between two leases of a worker, so that the event loop is not always busy."""


class Unconcerned:
    """A follower of the section ``service``, which does not change here."""

    def check(self, settings: Settings) -> list[Any]:
        """Nothing is wrong."""
        return []

    def warn(self, settings: Settings, caller: Identity | None) -> list[str]:
        """Nobody is locked out."""
        return []

    def adopt(self, settings: Settings) -> None:
        """Nothing to do."""


@contextmanager
def edited(path: Path, dsn: str) -> Iterator[None]:
    """A process that changes the file at the rate, during the block."""
    path.write_text(text_of(dsn, 10))
    command = [sys.executable, "-m", "benchmarks.reload_editor", str(path), dsn, str(RATE)]
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.kill()


async def reloads(dsn: str, rounds: int, seconds: float) -> dict[str, Any]:
    """The p99 of leases, in milliseconds, of each round without and with reloads."""
    with tempfile.TemporaryDirectory() as folder, edited(Path(folder, FILE), dsn):
        path = Path(folder, FILE)
        async with AsyncManager(Settings.load(path, environ={})) as manager:
            reloader = Reloader(manager, Source(path, None), Unconcerned())
            await _lease(manager, 0.3)
            found: dict[str, Any] = {"calm": [], "busy": []}
            for _ in range(rounds):
                found["calm"].append(quantile(await _lease(manager, seconds), 0.99) * 1e3)
                asking = asyncio.create_task(_reload(reloader))
                found["busy"].append(quantile(await _lease(manager, seconds), 0.99) * 1e3)
                asking.cancel()
                with suppress(asyncio.CancelledError):
                    await asking
                await reloader.close()
    asked = round(rounds * seconds * RATE)
    return found | {"said": f"{asked:,}, {reloader.counts[APPLIED]:,}"}


async def _lease(manager: AsyncManager, seconds: float) -> list[float]:
    """Seconds that each lease of all workers took."""
    taken: list[float] = []
    until = monotonic() + seconds

    async def work(number: int) -> None:
        chance = random.Random(number)
        while monotonic() < until:
            await asyncio.sleep(chance.expovariate(1 / PAUSE))
            started = perf_counter()
            async with manager.connection(f"tenant{number}") as conn:
                await conn.execute("select 1")
            taken.append(perf_counter() - started)

    async with asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            group.create_task(work(number))
    return taken


async def _reload(reloader: Reloader) -> None:
    """Ask for the file to be read, at the rate, whatever becomes of it."""
    due = monotonic()
    async with asyncio.TaskGroup() as group:
        while True:
            group.create_task(reloader.reload(Origin(CALL)))
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - monotonic()))
