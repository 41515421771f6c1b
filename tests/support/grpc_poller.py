"""gRPC's threads and descriptors, which stay once they are there: so that no test leaks them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import grpc
import pytest


@pytest.fixture(scope="session")
def grpc_poller() -> Iterator[None]:
    """For whoever uses gRPC in the process of the tests, sync or async, as client or server."""
    asyncio.run(_use_once())
    with grpc.insecure_channel("127.0.0.1:1") as channel, pytest.raises(grpc.FutureTimeoutError):
        grpc.channel_ready_future(channel).result(0.05)
    yield
    grpc.aio.shutdown_grpc_aio()


async def _use_once() -> None:
    grpc.aio.init_grpc_aio()  # in a loop: there may be none otherwise
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.stop(None)
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        channel.get_state(try_to_connect=True)
