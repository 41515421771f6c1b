"""Fixtures of the service's tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from .support import Client, Service, channel, running, settings


@pytest.fixture(scope="session", autouse=True)
def grpc_poller() -> Iterator[None]:
    """gRPC's thread and its descriptors stay once they are there: no test leaks them."""
    grpc.aio.init_grpc_aio()
    asyncio.run(_listen_once())
    yield
    grpc.aio.shutdown_grpc_aio()


async def _listen_once() -> None:
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.stop(None)


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
