"""The servers of a test run: one for each version of PostgreSQL, started when first needed."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.support.databases import DatabaseStock

LATEST = 18
SETTINGS = {"max_connections": "100"}

# Decorates a test that uses `postgres` or `databases` and need not run on every version.
on_latest = pytest.mark.parametrize(
    "postgres", [LATEST], indirect=True, ids=[f"pg{LATEST}"], scope="session"
)


def wanted_versions() -> list[int]:
    """Return what TENANTPOOL_TEST_PG asks for: ``16``, ``18`` or ``both``, which is the default."""
    wanted = os.environ.get("TENANTPOOL_TEST_PG", "both")
    choices = {"both": [16, 18], "16": [16], "18": [18]}
    if wanted not in choices:
        raise pytest.UsageError(f"TENANTPOOL_TEST_PG={wanted}: must be one of {', '.join(choices)}")
    return choices[wanted]


class Servers:
    """Keeps the servers, and the databases of each, until the end of the block."""

    def __init__(self) -> None:
        self._running: dict[int, EmbeddedPostgres] = {}
        self._stocks: dict[int, DatabaseStock] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def get(self, version: int) -> EmbeddedPostgres:
        if version not in self._running:
            server = EmbeddedPostgres(version=version, settings=SETTINGS)
            self._running[version] = self._stack.enter_context(server)
        return self._running[version]

    def stock(self, server: EmbeddedPostgres) -> DatabaseStock:
        return self._stocks.setdefault(server.version, DatabaseStock(server))
