"""A fake service for each test of a client, over a real PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.client.fake import FakeService
from tests.client.serve import RealService


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for sockets, whose path is short enough for them."""
    with tempfile.TemporaryDirectory(prefix="tp-") as folder:
        yield Path(folder)


@pytest.fixture
def fake(folder: Path, postgres: EmbeddedPostgres, database: str) -> Iterator[FakeService]:
    """A service that does as it is told."""
    with FakeService(folder, postgres.dsn(dbname=database)) as fake:
        yield fake


@pytest.fixture
def service(folder: Path, postgres: EmbeddedPostgres, database: str) -> Iterator[RealService]:
    """The real service, in a process of its own."""
    with RealService(folder / "service", postgres, database) as service:
        yield service
