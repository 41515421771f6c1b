"""Fixtures of the tests of the manager on tasks."""

from __future__ import annotations

import pytest

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, open_manager
from tests.manager._async.watched import watched
from tests.manager.support import make_settings

__all__ = ["open_manager", "watched"]


@pytest.fixture
async def manager(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
) -> AsyncManager:
    """A manager with a tenant ``a`` that may have two connections to a database of its own."""
    return await open_manager(
        make_settings(postgres, {"a": {"dbname": database}}, tier={"cap": 2}, capacity=4)
    )
