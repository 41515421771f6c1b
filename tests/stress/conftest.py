"""Fixtures of the stress tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.stress.crowd import CAPACITY, RESERVED, WATCHERS, Operator, prepare
from tests.support.servers import wanted_versions


@pytest.fixture(scope="package", params=wanted_versions(), ids="pg{}".format)
def full(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """A server that lets in the CAPACITY of the crowd and its watchers, and nobody else."""
    settings = {"max_connections": str(CAPACITY + RESERVED + WATCHERS)}
    with EmbeddedPostgres(version=request.param, settings=settings) as server:
        prepare(server)
        yield server


@pytest.fixture
def operator(full: EmbeddedPostgres) -> Iterator[Operator]:
    """The operator of the full server."""
    with Operator(full) as operator:
        yield operator
