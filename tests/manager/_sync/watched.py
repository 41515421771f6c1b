# Generated from ../_async/watched.py by tools/generate_sync.py: do not edit.
"""What the tests of query insight in a manager share."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

import psycopg
import pytest

from tenantpool import Manager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.insight import Finding, Insight
from tests.manager._sync.helpers import OpenManager
from tests.manager.support import make_settings

SLOW = 0.05
ALWAYS = 1e-6
"""Seconds from which on a statement is slow; with these, each of them is."""


class Watched(Protocol):
    """The fixture ``watched``."""

    def __call__(
        self, *, capacity: int = ..., kwargs: Mapping[str, Any] | None = ..., **options: Any
    ) -> Manager: ...


@pytest.fixture
def watched(postgres: EmbeddedPostgres, database: str, open_manager: OpenManager) -> Watched:
    """``watched(slow=...)`` returns a manager with insight; tenant ``a`` has a table of items."""
    with psycopg.connect(postgres.dsn(dbname=database), autocommit=True) as conn:
        conn.execute(
            "create table items as select g as id, 's3cret' || g as name"
            " from generate_series(1, 50000) g"
        )
        conn.execute("analyze items")

    def make(
        *, capacity: int = 4, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Manager:
        settings = make_settings(
            postgres,
            {"a": {"dbname": database}},
            sections={"insight": {"enabled": True, "slow": 30, "log_interval": 0, **options}},
            capacity=capacity,
        )
        return open_manager(settings, kwargs=kwargs)

    return make


def insight(manager: Manager) -> Insight:
    """What *manager* looks with."""
    assert manager.insight is not None
    return manager.insight


def found(manager: Manager, kind: str) -> list[Finding]:
    """What it has found of one *kind*, of tenant ``a``."""
    return [finding for finding in insight(manager).findings("a") if finding.kind == kind]


def here(offset: int = 0) -> str:
    """``file:line in function`` of the caller, *offset* lines on."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    code = frame.f_back.f_code
    return f"{code.co_filename}:{frame.f_back.f_lineno + offset} in {code.co_qualname}"
