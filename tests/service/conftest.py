"""Fixtures of the service's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.grpc_poller import grpc_poller

from .support import Client, Service, channel, running, settings

__all__ = ["grpc_poller"]


@pytest.fixture(autouse=True, scope="session")
def _grpc(grpc_poller: None) -> None:
    """All of these tests may use gRPC."""


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let configurations be read as soon as somebody asks."""
    monkeypatch.setattr("tenantpool.service.reload._REST", 0.0)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service without identities: whoever runs the tests may do everything."""
    async with running(settings(), tmp_path) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    """Connected over the Unix socket."""
    async with channel(service.unix) as client:
        yield client
