"""The process that ``reload.py`` measures; what it found is one JSON object on its output."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, perf_counter
from typing import Any

import psycopg
import uvloop

from benchmarks.measure import resident_bytes
from tenantpool import AsyncManager, Settings

_MEGABYTE = 2**20
_LONGEST = 60.0
_BEAT = 0.001
"""Seconds between two decisions that time what comes between them."""

TABLE = """
create table tenants (id text primary key, tier text, dbname text, settings jsonb);
create function tell() returns trigger language plpgsql as
$$ begin perform pg_notify('tenants', new.id); return null; end $$;
create trigger tell after update or insert on tenants
for each row when (pg_trigger_depth() = 0 and new.id = 'told') execute function tell();
"""
FILL = """
insert into tenants select 'tenant' || n, 'pro', 'postgres', '{"app.tenant": "x"}'
from generate_series(1, %s) n
"""

TOLD = "insert into tenants (id, dbname) values ('told', 'postgres')"


def main() -> None:
    what, dsn, rounds, seconds, rows = sys.argv[1:]
    if what == "catalog":
        found = uvloop.run(_catalog(dsn, int(rows)))
    else:
        from benchmarks.reload_load import reloads

        found = uvloop.run(reloads(dsn, int(rounds), float(seconds)))
    json.dump(found, sys.stdout)


async def _catalog(dsn: str, rows: int) -> dict[str, Any]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(TABLE)
        conn.execute(FILL.encode(), [rows])
        async with AsyncManager(_settings(dsn)) as manager:
            gc.collect()
            before = resident_bytes()
            pauses: list[float] = []
            beat = asyncio.create_task(_beat(manager, pauses))
            catalog = {"table": "tenants", "channel": "tenants", "interval": 3600}
            first = await _time(
                lambda: len(manager.roster.listing) == rows,
                manager.apply(_settings(dsn, catalog=catalog)),
            )
            megabytes = (resident_bytes() - before) / _MEGABYTE
            await asyncio.to_thread(conn.execute, "update tenants set tier = 'enterprise'")
            listing = manager.roster.listing
            conn.execute("notify tenants")
            again = await _time(lambda: manager.roster.listing is not listing)
            await asyncio.to_thread(conn.execute, TOLD)
            told = await _time(lambda: "told" in manager.roster.listing)
            beat.cancel()
            with suppress(asyncio.CancelledError):
                await beat
    return {
        "first": first,
        "again": again,
        "told": told * 1e3,
        "megabytes": megabytes,
        "pause": max(pauses) * 1e3,
        "pauses": sorted(pauses)[-5:],
    }


async def _beat(manager: AsyncManager, pauses: list[float]) -> None:
    """Make a decision, again and again; whatever is above the time of rest is a pause."""
    while True:
        started = perf_counter()
        await asyncio.sleep(_BEAT)
        manager.evict("own")
        pauses.append(perf_counter() - started - _BEAT)


async def _time(done: Callable[[], bool], job: Any = None) -> float:
    """Seconds until it is *done*, from before the *job*."""
    started = monotonic()
    if job is not None:
        await job
    while not done():
        assert monotonic() < started + _LONGEST, "the catalog was not read"
        await asyncio.sleep(_BEAT)
    return monotonic() - started


def _settings(dsn: str, **sections: object) -> Settings:
    return Settings(
        databases={"main": {"conninfo": dsn, "capacity": 20}},
        tenants={"own": {"dbname": "postgres"}},
        **sections,
    )


if __name__ == "__main__":
    main()
