"""Leases under way while the configuration is read again and again; for ``reload_process.py``."""

from __future__ import annotations

import asyncio
import random
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import yaml

from benchmarks.measure import quantile
from benchmarks.reload import RATE
from tenantpool import AsyncManager, Settings
from tenantpool.service.identity import Identity
from tenantpool.service.reload import APPLIED, CALL, Origin, Reloader
from tenantpool.service.source import Source

WORKERS = 8
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


class Editor:
    """Writes the configuration anew, each time with other limits."""

    def __init__(self, path: Path, dsn: str) -> None:
        self.path = path
        self._written = 0
        # Put together beforehand: that takes as long as a reload.
        self._texts = [_text(dsn, cap) for cap in (10, 11)]
        self.write()

    def write(self) -> None:
        """Let the file say something else than before; nobody finds it half written."""
        self._written += 1
        new = self.path.with_suffix(".new")
        new.write_text(self._texts[self._written % 2])
        new.rename(self.path)


def _text(dsn: str, cap: int) -> str:
    tenants = {f"tenant{n}": {"dbname": "postgres"} for n in range(WORKERS)}
    databases = {"main": {"conninfo": dsn, "capacity": 40}}
    tiers = {"basic": {"cap": cap, "min_size": 0}}
    return yaml.safe_dump({"databases": databases, "tiers": tiers, "tenants": tenants})


async def reloads(dsn: str, rounds: int, seconds: float) -> dict[str, Any]:
    """The p99 of leases, in milliseconds, of each round without and with reloads."""
    with tempfile.TemporaryDirectory() as folder:
        editor = Editor(Path(folder, "tenantpool.yaml"), dsn)
        async with AsyncManager(Settings.load(editor.path, environ={})) as manager:
            reloader = Reloader(manager, Source(editor.path, None), Unconcerned())
            await _lease(manager, 0.3)
            found: dict[str, Any] = {"calm": [], "busy": []}
            for _ in range(rounds):
                found["calm"].append(quantile(await _lease(manager, seconds), 0.99) * 1e3)
                asking = asyncio.create_task(_reload(editor, reloader))
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


async def _reload(editor: Editor, reloader: Reloader) -> None:
    """Change the file and ask for it to be read, at the rate, whatever becomes of it."""
    due = monotonic()
    async with asyncio.TaskGroup() as group:
        while True:
            editor.write()
            group.create_task(reloader.reload(Origin(CALL)))
            due += 1 / RATE
            await asyncio.sleep(max(0.0, due - monotonic()))
