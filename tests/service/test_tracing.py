"""A lease of a worker and the service's part of it are one trace, whichever way they talk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from tenantpool import Settings
from tenantpool.client import AsyncLeaseClient, LeaseClient
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import TenantLimit, UnknownTenant
from tenantpool.service.server import Server
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, LeaseRef, ReleaseLeaseRequest
from tests.support.servers import on_latest
from tests.support.spans import Spans, spans
from tests.support.wait import wait_until_async

from .support import channel

__all__ = ["spans"]

pytestmark = on_latest

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
async def server(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(prefix="tp-") as folder:
        server = Server(
            Settings(
                databases={"main": {"conninfo": postgres.dsn(), "capacity": 3}},
                tiers={"basic": {"cap": 1, "min_size": 0}},
                tenants={"a": {"dbname": database}},
                template={"enabled": False},
                service={
                    "folder": str(Path(folder, "run")),
                    "grpc_port": 0,
                    "gateway_port": 0,
                    "http_port": None,
                },
            )
        )
        await server.start()
        try:
            yield server
        finally:
            await server.stop(0.0)


def by_kind(spans: Spans) -> dict[SpanKind, ReadableSpan]:
    return {span.kind: span for span in spans.ended}


@pytest.mark.parametrize("way", [0, 1], ids=["unix", "tcp"])
async def test_worker_and_service_are_one_trace(server: Server, spans: Spans, way: int):
    async with AsyncLeaseClient(server.targets[way], linger=0) as client:
        async with client.connection("a") as conn:
            await conn.execute("select 1")
        await wait_until_async(lambda: len(spans.ended) == 2)
    found = by_kind(spans)
    ours, theirs = found[SpanKind.SERVER], found[SpanKind.CLIENT]
    above = theirs.context
    assert ours.parent is not None
    assert ours.context is not None
    assert above is not None
    assert (ours.parent.span_id, ours.context.trace_id) == (above.span_id, above.trace_id)
    assert ours.name == theirs.name == "tenantpool lease"
    mine, his = ours.attributes or {}, theirs.attributes or {}
    assert mine["tenantpool.lease.id"] == his["tenantpool.lease.id"]
    assert mine["tenantpool.tier"] == "basic"
    assert mine["tenantpool.tenant"] == his["tenantpool.tenant"] == "a"
    assert "db.client.connection.pool.name" in mine


async def test_a_worker_of_threads_is_in_the_trace_too(server: Server, spans: Spans):
    def work() -> None:
        with (
            LeaseClient(server.targets[0], linger=0) as client,
            spans.tracer.start_as_current_span("request"),
            client.connection("a") as conn,
        ):
            conn.execute("select 1")

    await asyncio.to_thread(work)
    await wait_until_async(lambda: len(spans.ended) == 3)
    assert len({span.context.trace_id for span in spans.ended if span.context}) == 1


async def test_a_refusal_shows_in_both(server: Server, spans: Spans):
    async with AsyncLeaseClient(server.targets[0]) as client:
        with pytest.raises(UnknownTenant):
            await client.acquire("nobody")
        async with client.connection("a"):
            with pytest.raises(TenantLimit):
                await client.acquire("a", timeout=0)
    refused = [s for s in spans.ended if s.status.status_code is StatusCode.ERROR]
    assert [(s.kind, (s.attributes or {})["error.type"]) for s in refused] == [
        (SpanKind.SERVER, "UNKNOWN_TENANT"),
        (SpanKind.CLIENT, "UNKNOWN_TENANT"),
        (SpanKind.SERVER, "TENANT_LIMIT"),
        (SpanKind.CLIENT, "TENANT_LIMIT"),
    ]


async def test_a_lease_that_was_parked_is_one_span_of_the_service_and_two_of_the_worker(
    server: Server, spans: Spans
):
    async with AsyncLeaseClient(server.targets[0], linger=30) as client:
        for _ in range(2):
            async with client.connection("a"):
                pass
    await wait_until_async(lambda: len(spans.ended) == 3)
    assert [span.kind for span in spans.ended].count(SpanKind.CLIENT) == 2
    assert len({(span.attributes or {})["tenantpool.lease.id"] for span in spans.ended}) == 1


async def test_a_call_in_any_language_may_carry_the_header(server: Server, spans: Spans):
    async with channel(server.rpc.addresses[-1]) as client:
        request = AcquireLeaseRequest(tenant="a", request_id="1")
        again = (("traceparent", PARENT.replace("b7ad", "b7ae")),)
        answer = await client.leases.AcquireLease(request, metadata=(("traceparent", PARENT),))
        same = await client.leases.AcquireLease(request, metadata=again)
        assert same.lease.lease_id == answer.lease.lease_id
        lease = LeaseRef(lease_id=answer.lease.lease_id)
        await client.leases.ReleaseLease(ReleaseLeaseRequest(lease=lease))
    parent = spans.one().parent
    assert parent is not None
    assert f"{parent.trace_id:x}-{parent.span_id:x}" in PARENT


async def test_a_lease_that_is_revoked_says_why(server: Server, spans: Spans):
    async with AsyncLeaseClient(server.targets[0]) as client:
        conn = await client.acquire("a")
        (lease_id,) = server.desk.ledger.loans
        server.desk.ledger.revoke_one(lease_id, "it is needed elsewhere")
        await wait_until_async(lambda: len(spans.ended) == 1)
        await conn.close()
    (event,) = (e for e in spans.ended[0].events if e.name == "lease ended")
    assert dict(event.attributes or {}) == {"tenantpool.reason": "it is needed elsewhere"}
