# Generated from ../_async/test_pool.py by tools/generate_sync.py: do not edit.
"""``manager.pool(tenant)``: what code that was written for psycopg_pool finds."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from tenantpool import (
    BreakerOpen,
    ConnectFailed,
    Manager,
    ManagerClosed,
    QueueFull,
    TenantLimit,
    UnknownTenant,
)
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import Background, OpenManager, raises, wait_until
from tests.manager.support import make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest

KEYS = {
    "pool_min",
    "pool_max",
    "pool_size",
    "pool_available",
    "requests_waiting",
    "requests_num",
    "requests_queued",
    "requests_wait_ms",
    "requests_errors",
    "usage_ms",
    "connections_errors",
    "connections_lost",
}


class Oops(Exception):
    """What a caller's code may raise."""


def test_it_is_a_pool_of_psycopg_pool(manager: Manager):
    pool = manager.pool("a")
    assert isinstance(pool, ConnectionPool)
    assert (pool.name, pool.min_size, pool.max_size, pool.closed) == ("a", 0, 2, False)
    assert (pool.timeout, pool.max_waiting) == (30.0, 100)


def test_connection_commits_or_rolls_back(manager: Manager):
    pool = manager.pool("a")
    with pool.connection(timeout=5) as conn:
        assert isinstance(conn, Connection)
        conn.execute("create table numbers (n int)")
    with raises(Oops), pool.connection() as conn:
        conn.execute("insert into numbers values (1)")
        raise Oops
    assert (manager.execute("a", "select count(*) from numbers")).fetchone() == (0,)
    assert manager.stats().tenants["a"].in_use == 0


def test_getconn_and_putconn(manager: Manager):
    pool = manager.pool("a")
    conn = pool.getconn(timeout=5)
    assert conn._pool is pool
    conn.execute("create table numbers (n int)")
    pool.putconn(conn)
    assert manager.stats().tenants["a"].in_use == 0
    assert (manager.execute("a", "select to_regclass('numbers')")).fetchone() == (None,)
    with pytest.raises(ValueError, match="can't return connection to pool 'a'"):
        pool.putconn(conn)


def test_a_foreign_connection_is_not_taken(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = open_manager(make_settings(postgres, shared(database, "a", "b")))
    pool, other = manager.pool("a"), manager.pool("b")
    borrowed, acquired = other.getconn(), manager.acquire("a")
    with Connection.connect(postgres.dsn()) as foreign:
        for conn in (foreign, borrowed, acquired):
            with pytest.raises(ValueError, match="can't return connection to pool 'a'"):
                pool.putconn(conn)
            assert not conn.closed
    other.putconn(borrowed)
    manager.release(acquired)


def test_close_returns_the_connection_where_that_is_asked_for(manager: Manager):
    pool = manager.pool("a", close_returns=True)
    conn = pool.getconn()
    conn.close()
    assert not conn.closed
    assert manager.stats().tenants["a"].in_use == 0
    with manager.connection("a") as again:
        assert again is conn


def test_close_of_a_revoked_connection_is_quiet(manager: Manager):
    pool = manager.pool("a", close_returns=True)
    conn = pool.getconn()
    manager.revoke(*manager.leases())
    conn.close()
    assert conn.closed
    wait_until(lambda: manager.stats().databases["main"].used == 0)


def test_a_revoke_in_a_block_shows_the_callers_error(manager: Manager):
    with raises(psycopg.OperationalError), manager.pool("a").connection() as conn:
        manager.revoke(*manager.leases())
        wait_until(lambda: manager.stats().databases["main"].used == 0)
        conn.execute("select 1")


def test_sqlalchemy_can_borrow_from_it(manager: Manager):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pool = manager.pool("a", close_returns=True)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=pool.getconn, poolclass=sqlalchemy.NullPool
    )
    with engine.begin() as conn:
        conn.execute(sqlalchemy.text("create table numbers (n int)"))
        assert manager.stats().tenants["a"].in_use == 1
    assert manager.stats().tenants["a"].in_use == 0
    with engine.connect() as conn:
        found = conn.execute(sqlalchemy.text("select count(*) from numbers"))
        assert found.scalar() == 0
    engine.dispose()
    assert manager.stats().databases["main"].used == 1


def test_statistics_are_those_of_the_tenant(manager: Manager):
    pool = manager.pool("a")
    assert set(pool.get_stats()) == KEYS
    with pool.connection(), pool.connection():
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0)
        waiter = Background(pool.getconn)
        wait_until(lambda: pool.get_stats()["requests_waiting"] == 1)
        stats = pool.get_stats()
    pool.putconn(waiter.result())

    assert (stats["pool_min"], stats["pool_max"], stats["pool_size"]) == (0, 2, 2)
    assert (stats["requests_num"], stats["requests_errors"]) == (4, 1)
    assert stats["pool_available"] == 0
    later = pool.pop_stats()
    assert (later["pool_available"], later["requests_waiting"]) == (2, 0)
    assert later["requests_queued"] == 3  # two for a connect, one for a return
    assert later["usage_ms"] >= stats["usage_ms"] >= 0


def test_a_timeout_is_a_pool_timeout(manager: Manager):
    pool = manager.pool("a")
    with (
        pool.connection(),
        pool.connection(),
        raises(PoolTimeout, match="TENANT_LIMIT") as refusal,
    ):
        pool.getconn(timeout=0.01)
    assert isinstance(refusal.value.__cause__, TenantLimit)


def test_a_full_queue_is_too_many_requests(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tier = {"cap": 1, "max_waiting": 1}
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}, tier=tier))
    pool = manager.pool("a")
    with pool.connection():
        waiter = Background(pool.getconn)
        wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
        with pytest.raises(TooManyRequests, match="lets 1 wait") as refusal:
            pool.getconn()
    pool.putconn(waiter.result())
    assert isinstance(refusal.value.__cause__, QueueFull)


def test_a_database_that_refuses_is_a_pool_timeout(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    manager = open_manager(make_settings(postgres, {"a": {"dbname": "nowhere"}}))
    with pytest.raises(PoolTimeout, match='"nowhere" does not exist') as refusal:
        manager.pool("a").getconn()
    assert isinstance(refusal.value.__cause__, ConnectFailed | BreakerOpen)


def test_it_closes_with_its_manager_and_not_by_itself(manager: Manager):
    pool = manager.pool("a")
    with pool:
        pool.open()
    pool.close()
    with pool.connection():
        pass
    assert not pool.closed

    manager.close()

    assert pool.closed
    with pytest.raises(PoolClosed) as refusal:
        pool.getconn()
    assert isinstance(refusal.value.__cause__, ManagerClosed)


def test_its_size_is_the_managers_business(manager: Manager):
    pool = manager.pool("a")
    with pytest.raises(TypeError, match="cap of its tier"):
        pool.resize(1, 3)
    with pool.connection():
        pass
    pool.check()
    pool.wait(timeout=5)
    pool.drain()
    wait_until(lambda: manager.stats().databases["main"].used == 0)


def test_an_unknown_tenant_has_none(manager: Manager):
    with pytest.raises(UnknownTenant):
        manager.pool("stranger")
