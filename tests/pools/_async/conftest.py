"""Fixtures of the tests of pools on tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest
from psycopg.conninfo import conninfo_to_dict

from tenantpool.core.breaker import Breaker
from tenantpool.core.limits import BreakerLimits
from tenantpool.core.pool import Pool
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools._async.link import AsyncLink
from tenantpool.pools._async.pool import AsyncPassivePool
from tests.manager._async.helpers import open_manager

__all__ = ["OpenLink", "open_link", "open_manager"]


class OpenLink(Protocol):
    """The fixture ``open_link``."""

    async def __call__(self, dsn: str, **options: Any) -> AsyncLink: ...


@pytest.fixture
async def open_link(postgres: EmbeddedPostgres) -> AsyncIterator[OpenLink]:
    """``open_link(dsn, ...)`` returns a link that lasts until the end of the test."""
    links: list[AsyncLink] = []

    async def open_one(dsn: str, **options: Any) -> AsyncLink:
        core = Pool("test", "test", Breaker(BreakerLimits()), 0.0)
        params = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
        link = AsyncLink(AsyncPassivePool(core, lambda: params, **options))
        links.append(link)
        await link.open()
        return link

    yield open_one
    for link in links:
        assert await link.end(20)
