"""Fixtures of the stress tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tenantpool.embedded import HOST, EmbeddedPostgres
from tests.stress.crowd import (
    CAPACITY,
    RESERVED,
    WATCHERS,
    Operator,
    prepare,
    refusals_of_the_server,
)
from tests.support.sampler import Sampler
from tests.support.servers import wanted_versions


@pytest.fixture(scope="session", params=wanted_versions(), ids="pg{}".format)
def full(request: pytest.FixtureRequest) -> Iterator[EmbeddedPostgres]:
    """A server that lets in the CAPACITY of the crowd and its watchers, and nobody else."""
    settings = {"max_connections": str(CAPACITY + RESERVED + WATCHERS)}
    with EmbeddedPostgres(version=request.param, settings=settings) as server:
        prepare(server)
        yield server
        server.stop("immediate")  # nothing is worth a checkpoint


@pytest.fixture
def operator(full: EmbeddedPostgres) -> Iterator[Operator]:
    """The operator of the full server, who clears up after each test."""
    with Operator(full) as operator:
        yield operator
        operator.clear_up()


@pytest.fixture
def not_one_more(
    full: EmbeddedPostgres, operator: Operator, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail a test in which tenantpool had, or tried to have, more connections than the capacity.

    With the operator and two samplers the server is full, so it would have refused one more.
    """
    with Sampler(full.dsn()) as near, Sampler(full.dsn(host=HOST)) as far:
        yield
    assert refusals_of_the_server(caplog) == []
    for sampler in (near, far):
        assert sampler.most <= CAPACITY + 1, "one of them is the operator's"
