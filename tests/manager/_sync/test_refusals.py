# Generated from ../_async/test_refusals.py by tools/generate_sync.py: do not edit.
"""Why a request was refused: the reason, the limit, how long, when again, and who holds it."""

from __future__ import annotations

import logging
import traceback

import psycopg
import pytest

from tenantpool import (
    AcquireTimeout,
    BreakerOpen,
    ConnectFailed,
    ConnectTimeout,
    DatabaseLimit,
    Draining,
    Manager,
    QueueFull,
    RateLimited,
    Reason,
    Refused,
    TenantLimit,
    UnknownTenant,
)
from tenantpool.embedded import HOST, EmbeddedPostgres
from tests.manager._sync.helpers import Background, OpenManager, raises, wait_until
from tests.manager.support import make_settings, shared
from tests.support.servers import on_latest
from tests.support.severer import Severer

pytestmark = on_latest

PASSWORD = "s3cret-w0rd"


def refusal_of(manager: Manager, tenant: str, timeout: float | None = 0.05) -> Refused:
    with raises(Refused) as caught, manager.connection(tenant, timeout=timeout):
        pass
    return caught.value


def test_a_tenant_at_its_cap(manager: Manager):
    with manager.connection("a"), manager.connection("a"):
        error = refusal_of(manager, "a")
    assert isinstance(error, TenantLimit)
    assert isinstance(error, TimeoutError)
    assert error.reason is Reason.TENANT_LIMIT
    assert error.limit == "tier basic allows 2 connections"
    assert error.holders == {"a": 2}
    assert (error.tenant, error.database) == ("a", "main")
    assert error.waited >= 0.05
    assert error.retry_after is not None
    assert error.retry_after > 0
    assert error.__cause__ is None
    waited = f"waited {error.waited:.3f} s"
    assert str(error).startswith(f"a: TENANT_LIMIT: tier basic allows 2 connections; {waited}")
    assert "held by a: 2; retry after " in str(error)
    assert manager.stats().tenants["a"].refused == {"TENANT_LIMIT": 1}


def test_a_database_at_its_capacity(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {**shared(database, "a"), "b": {"dbname": "postgres"}}
    manager = open_manager(make_settings(postgres, tenants, capacity=2))
    with manager.connection("a"), manager.connection("a"):
        error = refusal_of(manager, "b")
    assert isinstance(error, DatabaseLimit)
    assert error.limit == "database main has a capacity of 2 connections"
    assert error.holders == {"a": 2}


def test_a_connect_that_takes_too_long(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    with Severer(postgres.port) as network:
        dsn = postgres.dsn(host=HOST, port=network.port)
        settings = make_settings(postgres, {"a": {"dbname": database}}, conninfo=dsn)
        manager = open_manager(settings)
        network.pause()
        error = refusal_of(manager, "a")
        network.heal()
        assert isinstance(error, ConnectTimeout)
        assert f"no connection to {database} could be opened in time" in error.limit
        assert "(1 of 4 connects under way)" in error.limit
        assert (manager.execute("a", "select 1")).fetchone() == (1,)
        manager.close()


def test_more_waiting_than_the_tier_allows(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tier = {"cap": 1, "max_waiting": 1}
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=tier))
    with manager.connection("a"):
        waiter = Background(manager.acquire, "a")
        wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
        error = refusal_of(manager, "a", timeout=None)
    manager.release(waiter.result())
    assert isinstance(error, QueueFull)
    assert error.limit == "tier basic lets 1 wait (max_waiting)"
    assert error.holders == {"a": 1}
    assert error.waited < 10


def test_more_leases_than_the_rate_allows(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tier = {"rate": 0.01, "burst": 2}
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=tier))
    manager.execute("a", "select 1")
    manager.execute("a", "select 1")
    error = refusal_of(manager, "a")
    assert isinstance(error, RateLimited)
    assert error.limit == "tier basic allows 0.01 leases per second (burst 2)"
    assert error.retry_after is not None
    assert 50 < error.retry_after <= 100


def test_a_database_that_does_not_exist(postgres: EmbeddedPostgres, open_manager: OpenManager):
    tier = {"breaker": {"backoff": 60, "backoff_max": 60}}
    manager = open_manager(make_settings(postgres, {"a": {"dbname": "nowhere"}}, tier=tier))
    errors = [refusal_of(manager, "a", timeout=5) for _ in range(4)]

    assert [type(error) for error in errors] == [ConnectFailed] * 3 + [BreakerOpen]
    for error in errors:
        assert isinstance(error.__cause__, psycopg.OperationalError)
        assert 'database "nowhere" does not exist' in str(error)
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 60
    assert errors[0].limit == "database main refused the connection for nowhere"
    assert errors[3].limit == "connects to nowhere failed too often, the breaker is open"
    manager.reset_breaker("a")
    assert isinstance(refusal_of(manager, "a", timeout=5), ConnectFailed)
    assert manager.stats().databases["main"].breaker == "closed"


def test_the_error_of_a_connect_keeps_nothing_else_alive(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    """Logs and refusals may keep it for long."""
    manager = open_manager(make_settings(postgres, {"a": {"dbname": "nowhere"}}))
    error = (refusal_of(manager, "a", timeout=5)).__cause__
    assert error is not None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    assert frames
    assert [frame.f_locals for frame in frames if frame.f_locals] == []


def test_a_tenant_that_is_drained(manager: Manager):
    manager.drain("a")
    error = refusal_of(manager, "a")
    assert isinstance(error, Draining)
    assert error.limit == "the tenant is being drained"
    assert error.retry_after is None


def test_a_tenant_that_nobody_knows(manager: Manager):
    with pytest.raises(UnknownTenant, match="only listed tenants are taken") as refusal:
        manager.connection("stranger")
    assert refusal.value.reason is Reason.UNKNOWN_TENANT
    assert refusal.value.retry_after is None
    with pytest.raises(UnknownTenant):
        manager.execute("stranger", "select 1")
    assert list(manager.stats().tenants) == []


def test_a_tenant_that_the_template_takes(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    sections = {"template": {"dbname": "{tenant}"}}
    manager = open_manager(make_settings(postgres, {}, sections=sections))
    found = manager.execute(database, "select current_database()")
    assert found.fetchone() == (database,)
    with pytest.raises(UnknownTenant, match=r"template.pattern"):
        manager.connection("no such/name")


def test_zero_never_waits(manager: Manager):
    error = refusal_of(manager, "a", timeout=0)
    assert isinstance(error, ConnectTimeout)
    wait_until(lambda: manager.stats().databases["main"].idle == 1)
    with manager.connection("a", timeout=0), manager.connection("a", timeout=5):
        assert isinstance(refusal_of(manager, "a", timeout=0), TenantLimit)
        assert isinstance(refusal_of(manager, "a", timeout=-1), TenantLimit)


def test_none_is_the_timeout_of_the_tier(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tier = {"cap": 1, "acquire_timeout": 0.05}
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=tier))
    with manager.connection("a", timeout=5):
        error = refusal_of(manager, "a", timeout=None)
    assert isinstance(error, AcquireTimeout)
    assert 0.05 <= error.waited < 5


def test_no_password_is_shown_anywhere(
    postgres: EmbeddedPostgres, open_manager: OpenManager, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    settings = make_settings(
        postgres,
        {"a": {"dbname": "nowhere"}, "b": {"dbname": "postgres"}},
        conninfo=postgres.dsn(password=PASSWORD),
        tier={"leak_after": 0.01},
    )
    manager = open_manager(settings)
    conn = manager.acquire("b")
    wait_until(lambda: manager.stats().tenants["b"].leaks)
    shown = [repr(conn), repr(manager), repr(manager.leases()), repr(manager.pool("b"))]
    shown += [repr(shell) for shell in manager._shells.values()]
    for pool in manager._shells["main"].core.pools.values():
        shown += [repr(pool), repr(pool.resource), *map(repr, pool.slots)]
        shown += [repr(slot.connection) for slot in pool.slots]
    manager.revoke(*manager.leases())
    wait_until(lambda: manager.stats().databases["main"].used == 0)
    with pytest.raises(psycopg.Error) as failure:
        conn.execute("select 1")
    manager.release(conn)
    shown += traceback.format_exception(failure.value)
    for _ in range(5):
        error = refusal_of(manager, "a", timeout=5)
        shown += [str(error), repr(error), str(error.__cause__), repr(error.__cause__)]
        shown += traceback.format_exception(error)
    shown += [repr(manager.stats()), repr(manager.health()), repr(settings), str(settings)]
    shown += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]

    assert any("connect failed" in text for text in shown)
    assert not [text for text in shown if PASSWORD in text]
