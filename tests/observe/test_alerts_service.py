"""Alerts of a real service on a real database, told to a real receiver."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from tenantpool.config.show import effective_yaml
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError
from tenantpool.observe.alerts.message import SIGNATURE, verify
from tenantpool.service.reload import CALL, Origin
from tenantpool.service.server import Server
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceStub
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .receiver import Receiver
from .support import Web, serving, settings

pytestmark = on_latest

SECRET = "a-secret-of-the-receiver"
FAST = {"after": 0.1, "resolve_after": 0.1}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as receiver:
        yield receiver


def made(postgres: EmbeddedPostgres, dbname: str, receiver: Receiver, **alerts: Any) -> Any:
    return settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 6}},
        tenants={"acme": {"dbname": dbname}},
        tiers={"basic": {"min_size": 0, "cap": 2, "breaker": {"failures": 1, "backoff": 0.05}}},
        alerts={
            "interval": 0.05,
            "webhooks": {"ops": {"url": receiver.url, "secret": SECRET}},
            **alerts,
        },
    )


async def ask(server: Server, tenant: str) -> None:
    """Borrow and give back, over gRPC."""
    async with grpc.aio.insecure_channel(server.targets[0]) as channel:
        stub: Any = LeaseServiceStub(channel)  # type: ignore[no-untyped-call]
        await stub.AcquireLease(AcquireLeaseRequest(tenant=tenant))


async def fails(server: Server, tenant: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await ask(server, tenant)


async def value_of(web: Web, alert: str) -> float:
    text = (await web.get("/metrics")).text
    [line] = [
        line for line in text.splitlines() if f'tenantpool_alerts_firing{{alert="{alert}"' in line
    ]
    return float(line.rpartition(" ")[2])


async def test_a_breaker_that_opens_is_told_of_and_so_is_its_end(
    postgres: EmbeddedPostgres, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tenantpool")
    name = f"late_{time.monotonic_ns()}"
    config = made(postgres, name, receiver, tenant_breakers_open=FAST)
    async with serving(config) as (server, web):
        await fails(server, "acme")
        await wait_until_async(lambda: len(receiver.received) == 1)
        [alert] = server.alerts.firing()
        assert (alert.name, alert.labels) == ("TenantBreakersOpen", {"database": "main"})
        assert await value_of(web, "TenantBreakersOpen") == 1
        postgres.execute(f"create database {name}")
        try:
            await recovers(server)
            await wait_until_async(lambda: len(receiver.received) == 2)
            assert server.alerts.firing() == []
            assert await value_of(web, "TenantBreakersOpen") == 0
        finally:
            await server.stop(0.0)
            postgres.execute(f"drop database {name} with (force)")
    fired, over = receiver.received
    for got in (fired, over):
        assert verify(SECRET.encode(), got.headers[SIGNATURE], got.body, time.time())
    assert (fired.json["status"], over.json["status"]) == ("firing", "resolved")
    assert name in fired.json["summary"]
    assert "does not exist" in fired.json["description"]
    assert over.json["fired_at"] <= over.json["resolved_at"]
    assert [alert.state for alert in server.alerts.told] == ["resolved", "firing"]
    assert "alert firing alert=TenantBreakersOpen severity=warning database=main" in caplog.text
    assert SECRET not in caplog.text


async def recovers(server: Server) -> None:
    """Ask until it works: the breaker lets a probe through now and then."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return await ask(server, "acme")
        except grpc.aio.AioRpcError:
            assert time.monotonic() < deadline, "the breaker does not close"


async def test_other_rules_and_receivers_hold_from_a_reload_on(
    postgres: EmbeddedPostgres, database: str, receiver: Receiver
) -> None:
    config = made(postgres, database, receiver, overshoot={"enabled": False}, webhooks={})
    async with serving(config) as (server, _):
        core = server.manager.shells["main"].core
        core.overshoots = 1
        await wait_until_async(lambda: repr(server.alerts._past) != "<Past 0 sights>")
        assert server.alerts.senders == []
        await server.manager.apply(made(postgres, database, receiver))
        await wait_until_async(lambda: receiver.received)
        [alert] = server.alerts.firing()
        assert (alert.name, alert.severity) == ("Overshoot", "critical")
        await server.manager.apply(config)
        await wait_until_async(lambda: not server.alerts.firing())
        await wait_until_async(lambda: not server.alerts.senders)


async def test_a_reload_that_was_refused_fires_until_one_works(
    postgres: EmbeddedPostgres, database: str, receiver: Receiver
) -> None:
    async with serving(made(postgres, database, receiver, reload_failed=FAST)) as (server, _):
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL), yaml="tiers: {}")
        await wait_until_async(lambda: len(receiver.received) == 1)
        assert "databases: is missing" in receiver.received[0].json["summary"]
        same = effective_yaml(server.settings).replace("url: '**********'", f"url: {receiver.url}")
        same = same.replace("secret: '**********'", f"secret: {SECRET}")
        await server.reloader.reload(Origin(CALL), yaml=same)
        await wait_until_async(lambda: len(receiver.received) == 2)


async def test_a_rule_that_breaks_does_not_end_the_others(
    postgres: EmbeddedPostgres,
    database: str,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(made(postgres, database, receiver)) as (server, _):
        core = server.manager.shells["main"].core
        monkeypatch.setattr(core, "overshoots", "many")
        await wait_until_async(lambda: "the alerts failed, going on" in caplog.text)
        monkeypatch.setattr(core, "overshoots", 2)
        await wait_until_async(lambda: receiver.received)
