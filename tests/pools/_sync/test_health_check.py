# Generated from ../_async/test_health_check.py by tools/generate_sync.py: do not edit.
"""A connection that died while it lay idle is never lent."""

from __future__ import annotations

import pytest

from tenantpool import Manager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, pid_of, wait_until
from tests.manager.support import StatementLog, backends, kill, make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest


def fill(manager: Manager, tenant: str, count: int) -> None:
    """Let *tenant* have *count* idle connections, each used once."""
    for conn in [manager.acquire(tenant) for _ in range(count)]:
        manager.release(conn)


def test_a_connection_that_was_killed_is_replaced_unnoticed(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, check_after=0)
    manager = open_manager(settings)
    old = pid_of(manager, "a")
    kill(postgres, old)

    with manager.connection("a") as conn:
        assert conn.info.backend_pid != old
        assert (conn.execute("select 1")).fetchone() == (1,)

    stats = manager.stats().tenants["a"]
    assert (stats.requests, stats.leases, stats.lost) == (2, 2, 1)
    assert stats.refused == {}


def test_a_dead_connection_of_another_tenant_is_replaced_unnoticed(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1, check_after=60)
    manager = open_manager(settings)
    kill(postgres, pid_of(manager, "a"))

    assert (manager.execute("b", "show app.tenant")).fetchone() == ("b",)


def test_a_warm_connection_that_nobody_has_used_yet_is_tested_too(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(
        postgres, {"a": {"dbname": database}}, tier={"min_size": 1}, check_after=0
    )
    manager = open_manager(settings)
    assert manager.warmup() == {"a": 1}
    kill(postgres, *backends(postgres, database))

    assert (manager.execute("a", "select 1")).fetchone() == (1,)


def test_when_all_idle_connections_died_the_next_lease_does_not_back_off(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """psycopg_pool waits 1 s and longer after each; a back-off here would trip the timeout."""
    settings = make_settings(postgres, {"a": {"dbname": database}}, check_after=0)
    manager = open_manager(settings)
    fill(manager, "a", 8)
    kill(postgres, *backends(postgres, database))

    with manager.connection("a", timeout=5) as conn:
        assert (conn.execute("select 1")).fetchone() == (1,)

    stats = manager.stats()
    assert stats.tenants["a"].lost == 8
    assert stats.tenants["a"].breaker == stats.databases["main"].breaker == "closed"
    assert stats.tenants["a"].wait_longest < 1
    wait_until(lambda: manager.stats().databases["main"].used == 1)


@pytest.mark.parametrize("check_after", [0, 60])
def test_a_connection_is_tested_only_when_it_was_idle_for_long(
    check_after: float, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(
        postgres,
        {"a": {"dbname": database}},
        conninfo=postgres.dsn(options=StatementLog.OPTIONS),
        check_after=check_after,
    )
    manager = open_manager(settings)
    log = StatementLog(postgres, pid_of(manager, "a"))

    pid_of(manager, "a")

    assert log.statements() == ([] if check_after else [""])


def test_a_test_leaves_the_connection_as_it_was(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, check_after=0)
    manager = open_manager(settings)
    pid_of(manager, "a")

    with manager.connection("a") as conn:
        assert not conn.autocommit
        assert conn.info.transaction_status.name == "IDLE"
