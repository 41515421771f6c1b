"""Each lease of a manager is a span."""

from __future__ import annotations

import pytest
from opentelemetry.trace import StatusCode, get_current_span

from tenantpool import AsyncManager, tracing
from tenantpool.errors import LeaseEnded, TenantLimit, UnknownTenant
from tests.manager._async.helpers import Background, raises, wait_until
from tests.support.servers import on_latest
from tests.support.spans import Spans, spans

__all__ = ["spans"]

pytestmark = on_latest


class Oops(Exception):
    """Raised in a block."""


async def test_a_lease_is_a_span_from_the_request_to_the_return(
    spans: Spans, manager: AsyncManager
):
    async with manager.connection("a"):
        assert spans.ended == []
    span = spans.one()
    assert span.name == "tenantpool lease"
    assert dict(span.attributes or {}) == {
        "tenantpool.tenant": "a",
        "tenantpool.tier": "basic",
        "tenantpool.database": "main",
        "db.client.connection.pool.name": manager.seat("a")[1].pool.name,
        "db.system.name": "postgresql",
    }
    assert span.status.status_code is StatusCode.UNSET


async def test_the_wait_is_an_event(spans: Spans, manager: AsyncManager):
    first, second = await manager.acquire("a"), await manager.acquire("a")
    third = Background(manager.acquire, "a")
    await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
    await manager.release(first)
    await manager.release(await third.result())
    await manager.release(second)
    events = [event for span in spans.ended for event in span.events]
    waits = [float(str((event.attributes or {})["tenantpool.wait"])) for event in events]
    assert len(waits) == 3
    assert max(waits) == pytest.approx(manager.stats().tenants["a"].wait_longest, abs=1e-6)
    assert {event.name for event in events} == {"lease granted"}


async def test_what_runs_inside_is_its_child_and_what_comes_after_is_not(
    spans: Spans, manager: AsyncManager
):
    with spans.tracer.start_as_current_span("request") as request:
        async with manager.connection("a"):
            spans.tracer.start_span("query").end()
        assert get_current_span() is request
    query, lease, outer = spans.ended
    assert query.parent == lease.get_span_context()
    assert lease.parent == outer.get_span_context()


async def test_a_lease_without_a_block_is_not_the_callers_span(spans: Spans, manager: AsyncManager):
    before = get_current_span()
    conn = await manager.acquire("a")
    assert get_current_span() is before
    assert spans.ended == []
    await manager.release(conn)
    assert spans.one().status.status_code is StatusCode.UNSET


async def test_a_refusal_is_a_status_with_its_reason(spans: Spans, manager: AsyncManager):
    held = [await manager.acquire("a"), await manager.acquire("a")]
    before = get_current_span()
    async with raises(TenantLimit):
        await manager.acquire("a", timeout=0)
    assert get_current_span() is before
    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert (span.status.description or "").startswith("a: TENANT_LIMIT: ")
    assert (span.attributes or {})["error.type"] == "TENANT_LIMIT"
    for conn in held:
        await manager.release(conn)


async def test_a_block_that_fails_is_told_by_the_errors_name_only(
    spans: Spans, manager: AsyncManager
):
    async with raises(Oops), manager.connection("a"):
        raise Oops("what a customer wrote")
    span = spans.one()
    assert span.status.description == "Oops"
    assert "customer" not in span.to_json()


async def test_a_lease_that_is_taken_away_says_so(spans: Spans, manager: AsyncManager):
    conn = await manager.acquire("a")
    manager.revoke(manager.leases()[0])
    with pytest.raises(Exception, match="a"):
        await conn.execute("select 1")
    await manager.release(conn)
    granted, ended = spans.one().events
    assert (granted.name, ended.name) == ("lease granted", "lease ended")
    assert dict(ended.attributes or {}) == {"tenantpool.reason": "it was revoked"}


async def test_the_span_of_a_lease_that_is_taken_away_ends_then_and_not_when_it_comes_back(
    spans: Spans, manager: AsyncManager, caplog: pytest.LogCaptureFixture
):
    before = get_current_span()
    async with raises(LeaseEnded), manager.connection("a"):
        manager.revoke(manager.leases()[0])
        assert spans.one().events[-1].name == "lease ended"
        assert get_current_span() is not before, "its holder is still in the block"
    assert get_current_span() is before
    assert len(spans.ended) == 1
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


async def test_without_a_provider_nothing_is_traced(spans: Spans, manager: AsyncManager):
    tracing.use(None)
    async with manager.connection("a"):
        pass
    with pytest.raises(UnknownTenant):
        manager.connection("nobody")
    assert spans.ended == []
