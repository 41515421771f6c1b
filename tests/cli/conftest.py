"""A service that runs, with two tenants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.cli.serving import Serving

Serve = Callable[..., Serving]


@pytest.fixture
def serve(postgres: EmbeddedPostgres, database: str) -> Iterator[Serve]:
    """``serve(**service)`` starts one whose section ``service`` says that too.

    Its tenants are acme, and initech, which gets one connection at most.
    """
    with ExitStack() as stack:

        def start(*words: str, from_volume: bool = False, **service: Any) -> Serving:
            settings = {
                "databases": {"main": {"conninfo": postgres.dsn(), "capacity": 12}},
                "tiers": {
                    "basic": {"min_size": 0, "cap": 8},
                    "single": {"min_size": 0, "cap": 1},
                },
                "tenants": {
                    "acme": {"tier": "basic", "dbname": database},
                    "initech": {"tier": "single", "dbname": database},
                },
                "template": {"enabled": False},
                "service": {
                    "grpc_port": 0,
                    "gateway_port": 0,
                    "http_port": 0,
                    "session_ttl": 2,
                    **service,
                },
            }
            return stack.enter_context(Serving(settings, *words, from_volume=from_volume))

        yield start
