"""A manager without a service has the metrics of one, as far as they are about connections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tenantpool import AsyncManager, Manager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import AcquireTimeout
from tenantpool.observe.catalogue import METRICS
from tenantpool.observe.collector import ManagerCollector
from tests.support.servers import on_latest

from .support import settings

OF_A_SERVICE = {
    *("tenantpool_leases_active", "tenantpool_sessions", "tenantpool_alerts_firing"),
    *("tenantpool_config_reloads_total", "tenantpool_config_last_reload_success"),
    *("grpc_server_started_total", "grpc_server_handled_total", "grpc_server_handling_seconds"),
}
MAIN_BASIC = '{database="main",tier="basic"}'


@pytest.fixture
def made(postgres: EmbeddedPostgres, database: str) -> Any:
    return settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 4}},
        tiers={"basic": {"cap": 1, "min_size": 0}},
        tenants={"acme": {"dbname": database}, "globex": {"dbname": database}},
    )


@pytest.fixture
def manager(made: Any) -> Iterator[Manager]:
    with Manager(made) as manager:
        yield manager


def scrape(collector: ManagerCollector) -> str:
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


@on_latest
def test_every_metric_is_there_but_those_of_a_service(manager: Manager) -> None:
    found = set(re.findall(r"^# TYPE (\S+)", scrape(ManagerCollector(manager)), re.MULTILINE))
    assert {
        name for name in found if not name.endswith("_created")
    } == METRICS.keys() - OF_A_SERVICE


@on_latest
def test_what_happens_is_counted_and_the_busiest_are_named(manager: Manager) -> None:
    collector = ManagerCollector(manager, tenants=1)
    with manager.connection("acme"):
        with pytest.raises(AcquireTimeout), manager.connection("acme", timeout=0.01):
            pass
        text = scrape(collector)
    assert f"tenantpool_leases_total{MAIN_BASIC} 1.0" in text
    assert 'tenantpool_connections{database="main",state="in_use"} 1.0' in text
    assert 'reason="TENANT_LIMIT",tier="basic"} 1.0' in text
    assert re.findall(r"tenantpool_tenant_in_use{.*?tenant=\"(\w+)\"", text) == ["acme"]
    assert f"tenantpool_waiting{MAIN_BASIC} 0.0" in text
    assert repr(collector).endswith("names 1 tenants>")


@on_latest
def test_dashboards_that_know_opentelemetrys_names_show_the_same(manager: Manager) -> None:
    with manager.connection("acme"):
        with pytest.raises(AcquireTimeout), manager.connection("acme", timeout=0.01):
            pass
        text = scrape(ManagerCollector(manager))
    found = {
        name: float(value)
        for name, value in re.findall(r"^db_client_connection_(\w+){[^}]*} (\S+)$", text, re.M)
        if not name.endswith(("_bucket", "_created"))
    }
    assert (
        'count{db_client_connection_pool_name="main",db_client_connection_state="used"} 1.0' in text
    )
    assert (found["max"], found["timeouts_total"], found["pending_requests"]) == (4, 1, 0)
    assert (found["wait_time_seconds_count"], found["use_time_seconds_count"]) == (1, 0)
    assert found["create_time_seconds_count"] == 1
    assert found["create_time_seconds_sum"] > 0


@on_latest
async def test_it_serves_a_manager_on_tasks_too(made: Any) -> None:
    async with AsyncManager(made) as manager, manager.connection("globex"):
        text = scrape(ManagerCollector(manager))
    assert f"tenantpool_leases_total{MAIN_BASIC} 1.0" in text


def test_a_manager_that_is_not_open_has_no_samples() -> None:
    text = scrape(ManagerCollector(Manager(settings())))
    assert "tenantpool_capacity{" not in text
