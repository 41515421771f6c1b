"""The metrics: every name of the contract, what they count, and the page that lists them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tenantpool.config.show import effective_yaml
from tenantpool.core.tally import BOUNDS, Tally
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import AcquireTimeout, ConfigError, Refused
from tenantpool.observe.catalogue import METRICS, Metric
from tenantpool.observe.quantiles import added, quantile, waits_of
from tenantpool.service.reload import CALL, Origin
from tenantpool.service.server import Server
from tenantpool.v1.admin_service_pb2 import GetTenantRequest, ListDatabasesRequest
from tenantpool.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .support import Web, serving, settings

ROOT = Path(__file__).parents[2]

CONTRACT = {
    "tenantpool_connections": {"database", "state"},
    "tenantpool_capacity": {"database"},
    "tenantpool_waiting": {"database", "tier"},
    "tenantpool_leases_total": {"database", "tier"},
    "tenantpool_refusals_total": {"database", "tier", "reason"},
    "tenantpool_wait_seconds": {"database", "tier"},
    "tenantpool_hold_seconds": {"database", "tier"},
    "tenantpool_connect_seconds": {"database"},
    "tenantpool_connect_failures_total": {"database"},
    "tenantpool_breaker_state": {"database"},
    "tenantpool_tenant_breakers_open": {"database"},
    "tenantpool_leaks_total": {"database", "tier"},
    "tenantpool_revoked_total": {"database", "tier"},
    "tenantpool_evictions_total": {"database"},
    "tenantpool_sessions": set(),
    "tenantpool_leases_active": {"database", "tier", "delivery"},
    "tenantpool_config_reloads_total": {"result"},
    "tenantpool_config_last_reload_success": set(),
    "tenantpool_overshoot_total": {"database"},
    "tenantpool_would_refuse_total": {"database", "tier", "reason"},
    "tenantpool_build_info": {"version"},
    "tenantpool_tenant_in_use": {"tenant", "tier", "database"},
    "tenantpool_tenant_waiting": {"tenant", "tier", "database"},
    "tenantpool_alerts_firing": {"alert", "severity"},
    "db_client_connection_count": {
        "db_client_connection_pool_name",
        "db_client_connection_state",
    },
    **{
        f"db_client_connection_{name}": {"db_client_connection_pool_name"}
        for name in (
            *("max", "pending_requests", "timeouts_total"),
            *("create_time_seconds", "wait_time_seconds", "use_time_seconds"),
        )
    },
    "grpc_server_started_total": {"grpc_service", "grpc_method", "grpc_type"},
    "grpc_server_handled_total": {"grpc_service", "grpc_method", "grpc_type", "grpc_code"},
    "grpc_server_handling_seconds": {"grpc_service", "grpc_method", "grpc_type"},
}
"""What the rules and the dashboards in deploy/ count on."""


class Scrape:
    """What one scrape says."""

    def __init__(self, text: str) -> None:
        self.families = {f.name: f for f in text_string_to_metric_families(text)}
        self.samples = [s for family in self.families.values() for s in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sample with these labels, among others; the sum of several."""
        found = list(self._fitting(name, labels))
        assert found, f"no sample {name} {labels}"
        return sum(sample.value for sample in found)

    def labels(self, name: str) -> list[dict[str, str]]:
        return [sample.labels for sample in self._fitting(name, {})]

    def _fitting(self, name: str, labels: dict[str, str]) -> Iterator[Sample]:
        for sample in self.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample


async def scrape(web: Web) -> Scrape:
    answer = await web.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scrape(answer.text)


@pytest.fixture
async def served(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[tuple[Server, Web]]:
    made = settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 4}},
        tiers={"basic": {"cap": 2, "min_size": 0, "max_waiting": 1}, "pro": {"min_size": 0}},
        tenants={"acme": {"dbname": database, "tier": "pro"}, "globex": {"dbname": database}},
    )
    async with serving(made) as served:
        yield served


def names_of(metric: Metric) -> list[str]:
    """The samples of a metric."""
    if metric.kind == "histogram":
        return [f"{metric.name}{end}" for end in ("_bucket", "_sum", "_count")]
    return [metric.name]


def test_the_contract_is_kept() -> None:
    assert {name: set(metric.labels) for name, metric in METRICS.items()} == CONTRACT


@on_latest
async def test_every_metric_is_there_from_the_start(served: tuple[Server, Web]) -> None:
    server, web = served
    lease = await server.manager.acquire("globex")
    async with grpc.aio.insecure_channel(server.rpc.addresses[0]) as channel:
        admin = AdminServiceStub(channel)  # type: ignore[no-untyped-call]
        await admin.ListDatabases(ListDatabasesRequest())
    found = await scrape(web)
    for metric in METRICS.values():
        for name in names_of(metric):
            every = found.labels(name)
            assert len(every), f"{name} is missing"
            assert all(labels.keys() - {"le"} == set(metric.labels) for labels in every)
    for name in ("refusals", "would_refuse", "leases", "leaks", "revoked"):
        assert found.value(f"tenantpool_{name}_total", tier="enterprise") == 0
    assert found.value("tenantpool_config_last_reload_success") == 1
    assert "process_resident_memory_bytes" in found.families
    await server.manager.release(lease)


@on_latest
async def test_what_happens_is_counted(served: tuple[Server, Web]) -> None:
    server, web = served
    manager = server.manager
    held = [await manager.acquire("globex") for _ in range(2)]
    with pytest.raises(AcquireTimeout):
        await manager.acquire("globex", timeout=0.01)
    found = await scrape(web)
    mine = {"database": "main", "tier": "basic"}
    assert found.value("tenantpool_connections", state="in_use") == 2
    assert found.value("tenantpool_connections") == manager.stats().databases["main"].used
    assert found.value("tenantpool_capacity") == 3  # one is the attendant's
    assert found.value("tenantpool_leases_total", **mine) == 2
    assert found.value("tenantpool_wait_seconds_count", **mine) == 2
    assert found.value("tenantpool_hold_seconds_count", **mine) == 0
    assert found.value("tenantpool_refusals_total", reason="TENANT_LIMIT", **mine) == 1
    assert found.value("tenantpool_refusals_total") == 1
    assert found.value("tenantpool_connect_seconds_count") == 2
    assert found.value("tenantpool_tenant_in_use", tenant="globex") == 2
    for conn in held:
        await manager.release(conn)
    after = await scrape(web)
    assert after.value("tenantpool_hold_seconds_count", **mine) == 2
    assert after.value("tenantpool_hold_seconds_bucket", le="+Inf", **mine) == 2
    stats = manager.stats().tenants["globex"]
    assert after.value("tenantpool_hold_seconds_sum", **mine) == pytest.approx(stats.held)
    assert after.value("tenantpool_overshoot_total") == 0


@on_latest
async def test_who_waits_is_shown_by_tier_and_by_tenant(served: tuple[Server, Web]) -> None:
    server, web = served
    held = [await server.manager.acquire("globex") for _ in range(2)]
    waiting = asyncio.create_task(server.manager.acquire("globex", timeout=20))
    await wait_until_async(lambda: server.manager.stats().tenants["globex"].waiting)
    found = await scrape(web)
    assert found.value("tenantpool_waiting", tier="basic") == 1
    assert found.value("tenantpool_tenant_waiting", tenant="globex") == 1
    await server.manager.release(held.pop())
    held.append(await waiting)
    after = await scrape(web)
    assert after.value("tenantpool_waiting") == 0
    assert after.value("tenantpool_wait_seconds_sum", tier="basic") > 0
    for conn in held:
        await server.manager.release(conn)


async def test_a_database_that_is_away_shows_its_breaker() -> None:
    made = settings(databases={"main": {"conninfo": "host=/nowhere", "capacity": 5}})
    async with serving(made) as (server, web):
        with pytest.raises(Refused):
            await server.manager.acquire("acme", timeout=5)
        found = await scrape(web)
        assert found.value("tenantpool_breaker_state") in (1, 2)
        assert found.value("tenantpool_refusals_total") == 1


@on_latest
@pytest.mark.parametrize(("shown", "count"), [(0, 0), (1, 1), ("all", 2)])
async def test_as_many_tenants_are_named_as_are_wanted(
    postgres: EmbeddedPostgres, database: str, shown: object, count: int
) -> None:
    made = settings(
        {"metrics_tenants": shown},
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 5}},
        tiers={"basic": {"min_size": 0}},
        tenants={"acme": {"dbname": database}, "globex": {"dbname": database}},
    )
    async with serving(made) as (server, web):
        tenants = ("acme", "globex", "globex")
        held = [await server.manager.acquire(tenant) for tenant in tenants]
        found = (await scrape(web)).labels("tenantpool_tenant_in_use")
        assert len(found) == count
        assert count != 1 or found[0]["tenant"] == "globex"
        for conn in held:
            await server.manager.release(conn)


async def test_calls_over_grpc_are_counted_by_how_they_ended() -> None:
    async with (
        serving(settings()) as (server, web),
        grpc.aio.insecure_channel(server.rpc.addresses[0]) as channel,
    ):
        admin = AdminServiceStub(channel)  # type: ignore[no-untyped-call]
        await admin.GetTenant(GetTenantRequest(tenant="acme"))
        with pytest.raises(grpc.aio.AioRpcError):
            await admin.GetTenant(GetTenantRequest(tenant="nobody"))
        found = await scrape(web)
        call = {
            "grpc_service": "tenantpool.v1.AdminService",
            "grpc_method": "GetTenant",
            "grpc_type": "unary",
        }
        assert found.value("grpc_server_started_total", **call) == 2
        assert found.value("grpc_server_handled_total", grpc_code="OK", **call) == 1
        assert found.value("grpc_server_handled_total", grpc_code="NOT_FOUND", **call) == 1
        assert found.value("grpc_server_handling_seconds_count", **call) == 2


async def test_reloads_are_counted_by_how_they_ended() -> None:
    async with serving(settings()) as (server, web):
        same = effective_yaml(server.settings)
        await server.reloader.reload(Origin(CALL), yaml=same.replace("cap: 25", "cap: 30"))
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL), yaml="tiers: {pro: {cap: many}}")
        found = await scrape(web)
        assert found.value("tenantpool_config_reloads_total", result="success") == 1
        assert found.value("tenantpool_config_reloads_total", result="failure") == 1
        assert found.value("tenantpool_config_last_reload_success") == 0
        page = (await web.get("/configuration")).text
        assert "tier pro: cap 25 → 30 (1 tenant)" in page


# -- quantiles ---------------------------------------------------------------------------------


def test_leases_that_did_not_wait_are_in_the_first_bucket() -> None:
    tally = Tally()
    tally.leases = 10
    tally.waits.note(1.5)
    counts = waits_of(tally)
    assert (counts[0], sum(counts)) == (9, 10)
    assert quantile(0.5, counts) == pytest.approx(BOUNDS[0] * 5 / 9)
    assert quantile(0.95, counts) == pytest.approx(1.5)


def test_a_quantile_of_nothing_is_nothing_and_beyond_the_last_bound_it_is_that() -> None:
    none = added([])
    assert quantile(0.5, none) is None
    none[-1] = 3
    assert quantile(0.5, none) == BOUNDS[-1]


# -- the page ----------------------------------------------------------------------------------


def test_the_page_lists_every_metric_as_it_is() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| (.*?) \| (.*) \|$", page, re.MULTILINE)
    found = [(name, kind, labels, unit, said) for name, kind, labels, unit, said in rows]
    assert found == [
        (
            metric.name,
            metric.kind,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.unit,
            metric.help,
        )
        for metric in METRICS.values()
    ]
