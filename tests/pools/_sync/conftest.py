# Generated from ../_async/conftest.py by tools/generate_sync.py: do not edit.
"""Fixtures of the tests of pools on tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from psycopg.conninfo import conninfo_to_dict

from tenantpool.core.breaker import Breaker
from tenantpool.core.limits import BreakerLimits
from tenantpool.core.pool import Pool
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools._sync.link import Link
from tenantpool.pools._sync.pool import PassivePool
from tests.manager._sync.helpers import open_manager

__all__ = ["OpenLink", "open_link", "open_manager"]


class OpenLink(Protocol):
    """The fixture ``open_link``."""

    def __call__(self, dsn: str, **options: Any) -> Link: ...


@pytest.fixture
def open_link(postgres: EmbeddedPostgres) -> Iterator[OpenLink]:
    """``open_link(dsn, ...)`` returns a link that lasts until the end of the test."""
    links: list[Link] = []

    def open_one(dsn: str, **options: Any) -> Link:
        core = Pool("test", "test", Breaker(BreakerLimits()), 0.0)
        params = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
        link = Link(PassivePool(core, lambda: params, **options))
        links.append(link)
        link.open()
        return link

    yield open_one
    for link in links:
        assert link.end(20)
