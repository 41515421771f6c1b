"""The process that ``scale.py`` measures; what it found is one JSON object on its output."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
import tracemalloc

from benchmarks.measure import resident_bytes
from tenantpool import AsyncManager, Manager, Settings

_FEW = 100
_REST = 0.5
"""Seconds until no connection is being closed any more."""
_MEGABYTE = 2**20


def main() -> None:
    what, file, touched = sys.argv[1:]
    measure = {"configured": _configured, "threads": _threads, "tasks": _tasks}[what]
    json.dump(measure(file, int(touched)), sys.stdout)


def _configured(file: str, touched: int) -> dict[str, float]:
    """Bytes that stay allocated for a configuration, beyond those of an empty one."""
    Settings(databases={"main": {"conninfo": "host=localhost", "capacity": 1}})
    gc.collect()
    tracemalloc.start()
    settings = Settings.load(file, environ={})
    gc.collect()
    found = tracemalloc.get_traced_memory()[0]
    return {"bytes": found, "tenants": len(settings.tenants)}


def _threads(file: str, touched: int) -> dict[str, float]:
    before = resident_bytes()
    settings = Settings.load(file, environ={})
    few, names = _split(settings, touched)
    with Manager(settings) as manager:
        workers: list[int] = []
        for part in (names[:few], names[few:]):
            for name in part:
                manager.execute(name, "select 1")
            time.sleep(_REST)
            workers.append(threading.active_count())
        return _figures(before, few, workers)


def _tasks(file: str, touched: int) -> dict[str, float]:
    return asyncio.run(_run_tasks(file, touched))


async def _run_tasks(file: str, touched: int) -> dict[str, float]:
    before = resident_bytes()
    settings = Settings.load(file, environ={})
    few, names = _split(settings, touched)
    async with AsyncManager(settings) as manager:
        workers: list[int] = []
        for part in (names[:few], names[few:]):
            for name in part:
                await manager.execute(name, "select 1")
            await asyncio.sleep(_REST)
            workers.append(len(asyncio.all_tasks()))
        return _figures(before, few, workers)


def _split(settings: Settings, touched: int) -> tuple[int, list[str]]:
    """How many tenants to ask for at first, and all that are asked for."""
    return min(_FEW, touched // 2), list(settings.tenants)[:touched]


def _figures(before: int, few: int, workers: list[int]) -> dict[str, float]:
    gc.collect()
    return {
        "few": few,
        "workers_few": workers[0],
        "workers_many": workers[1],
        "megabytes": (resident_bytes() - before) / _MEGABYTE,
    }


if __name__ == "__main__":
    main()
