"""What a worker finds is known in the service: all of it real, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tenantpool.client import AsyncLeaseClient, LeaseClient
from tenantpool.insight import Insight
from tests.client.serve import RealService
from tests.support.grpc_poller import grpc_poller
from tests.support.servers import on_latest
from tests.support.wait import wait_until

__all__ = ["grpc_poller"]

pytestmark = on_latest

TOKEN = "a-token-of-the-worker"
QUERIES = 101


@pytest.fixture(autouse=True, scope="module")
def _grpc(grpc_poller: None) -> None:
    """Half of these tests use gRPC."""


def threads(target: str, check: Callable[[], None]) -> None:
    with LeaseClient(target, token=TOKEN, worker="a worker", insight=Insight()) as leases:
        with leases.connection("a", timeout=10) as conn:
            for number in range(QUERIES):
                conn.execute("select 'secret', %s::int", [number])
        check()


def tasks(target: str, check: Callable[[], None]) -> None:
    async def work() -> None:
        client = AsyncLeaseClient(target, token=TOKEN, worker="a worker", insight=Insight())
        async with client as leases:
            async with leases.connection("a", timeout=10) as conn:
                for number in range(QUERIES):
                    await conn.execute("select 'secret', %s::int", [number])
            await asyncio.to_thread(check)

    asyncio.run(work())


@pytest.mark.parametrize("work", [threads, tasks])
@pytest.mark.parametrize("transport", ["the Unix channel", "gRPC"])
def test_an_n_plus_1_in_a_worker_is_found_in_the_service(
    service: RealService, transport: str, work: Callable[[str, Callable[[], None]], None]
):
    target = service.address if transport == "gRPC" else f"unix:{service.folder}"
    work(target, lambda: wait_until(lambda: bool(service.findings()), what="a heartbeat"))
    [finding] = service.findings()
    assert (finding.kind, finding.tenant) == ("repeated statement", "a")
    assert (finding.count, finding.times, finding.worker) == (QUERIES, 1, "a worker")
    assert finding.what.startswith("101 times in one lease, ")
    assert __file__ in finding.place
    assert "secret" not in str(finding)
    assert finding.fix
