# Generated from ../_async/conftest.py by tools/generate_sync.py: do not edit.
"""Fixtures of the tests of the manager on tasks."""

from __future__ import annotations

import pytest

from tenantpool import Manager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, open_manager
from tests.manager._sync.watched import watched
from tests.manager.support import make_settings

__all__ = ["open_manager", "watched"]


@pytest.fixture
def manager(postgres: EmbeddedPostgres, database: str, open_manager: OpenManager) -> Manager:
    """A manager with a tenant ``a`` that may have two connections to a database of its own."""
    return open_manager(
        make_settings(postgres, {"a": {"dbname": database}}, tier={"cap": 2}, capacity=4)
    )
