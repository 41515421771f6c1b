"""What watchers are told: in the order and of the tenants that they ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tenantpool import __version__, errors
from tenantpool.observe.alerts.sight import DatabaseSight, Sight
from tenantpool.v1 import admin_service_pb2 as pb

from .support import Client, Service, channel, reason_of, running, settings

NAMES = ("delta", "alpha", "Charlie", "bravo")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """Its tenants have been asked for; the nth of them was refused n times."""
    made = settings(tenants={name: {} for name in (*NAMES, "never")})
    async with running(made, tmp_path) as service:
        for number, name in enumerate(NAMES):
            await service.manager.drain(name, 0)
            for _ in range(number):
                with pytest.raises(errors.Draining):
                    await service.manager.acquire(name)
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    async with channel(service.unix) as client:
        yield client


async def watch(client: Client, **request: Any) -> pb.WatchResponse:
    """The first state."""
    stream = client.admin.Watch(pb.WatchRequest(**request))
    state = await stream.read()
    stream.cancel()
    assert isinstance(state, pb.WatchResponse)
    return state


async def names(client: Client, **request: Any) -> list[str]:
    return [tenant.name for tenant in (await watch(client, **request)).tenants]


async def test_tenants_come_in_the_order_that_is_asked_for(client: Client) -> None:
    assert await names(client, order_by="refused") == ["bravo", "Charlie", "alpha", "delta"]
    assert await names(client, order_by="name") == ["Charlie", "alpha", "bravo", "delta"]
    # Equal ones come by their names; none of these has any lease.
    for order in ("wait", "in_use", "leases"):
        assert await names(client, order_by=order) == ["Charlie", "alpha", "bravo", "delta"]


async def test_by_load_only_those_come_that_hold_or_wait_for_something(client: Client) -> None:
    assert await names(client) == []
    assert await names(client, order_by="load") == []


async def test_names_are_found_in_capitals_or_not(client: Client) -> None:
    assert await names(client, order_by="name", contains="CHAR") == ["Charlie"]
    assert await names(client, order_by="name", contains="a") == [
        *("Charlie", "alpha"),
        "bravo",
        "delta",
    ]
    assert await names(client, order_by="name", contains="%") == []


async def test_what_is_left_off_is_counted(client: Client) -> None:
    state = await watch(client, order_by="refused", page_size=1)
    assert [tenant.name for tenant in state.tenants] == ["bravo"]
    assert state.tenants_found == 4


async def test_the_state_says_how_the_service_does(service: Service, client: Client) -> None:
    state = await watch(client)
    assert (state.version, state.status, state.summary) == (__version__, "healthy", "All is well.")
    (database,) = state.databases
    assert (database.status, dict(database.refused)) == ("healthy", {"DRAINING": 6})
    service.desk.is_open = False
    state = await watch(client)
    assert state.status == "warning"
    assert "it is closing" in state.summary


@pytest.mark.parametrize("wrong", [{"order_by": "beauty"}, {"page_size": 1001}])
async def test_what_makes_no_sense_is_refused(client: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.admin.Watch(pb.WatchRequest(**wrong)).read()
    assert reason_of(caught.value) == "BAD_REQUEST"


async def test_a_tenant_in_full_shows_limits_and_breaker(client: Client) -> None:
    answer = await client.admin.GetTenant(pb.GetTenantRequest(tenant="bravo"))
    assert (answer.tenant.name, answer.tenant.draining) == ("bravo", True)
    assert answer.limits.max_waiting == 100
    assert answer.limits.acquire_timeout.seconds == 30
    assert not answer.limits.HasField("max_lease")
    assert (answer.breaker.state, answer.breaker.error) == ("closed", "")
    assert list(answer.waiters) == []
    never = await client.admin.GetTenant(pb.GetTenantRequest(tenant="never"))
    assert (never.tenant.pool, never.limits.max_waiting) == ("", 100)


async def test_alerts_come_with_the_state_those_that_fire_first(
    service: Service, client: Client
) -> None:
    assert list((await watch(client)).alerts) == []
    worse = DatabaseSight(10, 5, 0, 0, "closed", "", [], evictions=0, overshoots=2)
    service.alerts.look(0.0, 1000.0, Sight(reload_problem="no capacity"))
    service.alerts.look(5.0, 1005.0, Sight({"main": worse}, reload_problem="no capacity"))
    fires, pends = (await watch(client)).alerts
    assert (fires.name, fires.state, fires.severity) == ("Overshoot", "firing", "critical")
    assert (dict(fires.labels), fires.value) == ({"database": "main"}, 2.0)
    assert (fires.found_at.seconds, fires.fired_at.seconds) == (1005, 1005)
    assert "2 connections to main" in fires.summary
    assert "is a defect" in fires.description
    assert (pends.name, pends.state, pends.severity) == ("ReloadFailed", "pending", "warning")
    assert pends.found_at.seconds == 1000
    assert not pends.HasField("fired_at")
    service.alerts.look(65.0, 1065.0, Sight({"main": worse}, reload_problem="no capacity"))
    assert [alert.name for alert in (await watch(client)).alerts] == ["ReloadFailed", "Overshoot"]
