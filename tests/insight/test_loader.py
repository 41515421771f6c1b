"""The loader that docs/insight.md shows against N+1."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager.support import make_settings
from tests.support.servers import on_latest
from tests.test_docs import blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "insight.md"


@on_latest
async def test_a_hundred_keys_are_loaded_by_one_query(postgres: EmbeddedPostgres, database: str):
    example: dict[str, Any] = {}
    [block] = [block for block in blocks(PAGE, "python") if "DataLoader" in block]
    exec(block, example)
    sections = {"insight": {"enabled": True, "slow": 1e-6, "log_interval": 0}}
    settings = make_settings(postgres, {"a": {"dbname": database}}, sections=sections)
    async with AsyncManager(settings) as manager:
        await manager.execute(
            "a",
            "create table items as select g as id, 'name ' || g as name"
            " from generate_series(1, 99) g",
        )
        names = example["Names"](manager, "a")
        found = await asyncio.gather(*(names.load(number) for number in range(1, 101)))
        assert found == [*(f"name {number}" for number in range(1, 100)), None]
        assert manager.insight is not None
        reads = [f for f in manager.insight.findings() if f.statement.startswith("select")]
        assert [(f.statement, f.times) for f in reads] == [
            ("select id, name from items where id = any(?)", 1)
        ]
