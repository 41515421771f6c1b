# Generated from ../_async/test_open_and_close.py by tools/generate_sync.py: do not edit.
"""The life of a manager: what it finds out when it opens, and what is left when it has closed."""

from __future__ import annotations

import socket
from time import monotonic

import psycopg
import pytest

from tenantpool import (
    BreakerOpen,
    ConfigError,
    Draining,
    LeaseEnded,
    Manager,
    ManagerClosed,
    Refused,
)
from tenantpool.embedded import HOST, EmbeddedPostgres
from tests.manager._sync.helpers import (
    Background,
    OpenManager,
    on_all_versions,
    raises,
    wait_until,
)
from tests.manager.support import backends, make_settings
from tests.support.servers import on_latest


@on_latest
def test_close_waits_for_the_leases(manager: Manager, postgres: EmbeddedPostgres, database: str):
    conn = manager.acquire("a")
    closing = Background(manager.close, 60)
    wait_until(lambda: not manager.is_open)
    conn.execute("select 1")
    manager.release(conn)

    assert closing.result() == 0
    assert backends(postgres, database) == []
    assert manager.stats().databases["main"].used == 0


@on_latest
def test_close_revokes_what_does_not_come_back(
    manager: Manager, postgres: EmbeddedPostgres, database: str
):
    first, second = manager.acquire("a"), manager.acquire("a")

    assert manager.close(grace=0.01) == 2

    assert backends(postgres, database) == []
    with pytest.raises(psycopg.OperationalError):
        first.execute("select 1")
    for conn in (first, second):
        manager.release(conn)
        assert conn.closed


@on_latest
def test_a_block_that_outlives_its_manager_is_told(manager: Manager):
    with raises(LeaseEnded, match="revoked"), manager.connection("a"):
        assert manager.close(0) == 1


@on_latest
def test_close_takes_the_grace_of_the_settings(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    sections = {"close_grace": 0.1}
    settings = make_settings(postgres, {"a": {"dbname": database}}, sections=sections)
    manager = open_manager(settings)
    conn = manager.acquire("a")
    started = monotonic()
    assert manager.close() == 1
    assert monotonic() - started >= 0.1
    manager.release(conn)


@on_latest
def test_close_refuses_those_who_wait(manager: Manager):
    held = [manager.acquire("a"), manager.acquire("a")]
    late = manager.connection("a")
    waiter = Background(manager.acquire, "a")
    wait_until(lambda: manager.stats().tenants["a"].waiting == 1)

    assert manager.close(0) == 2

    with pytest.raises(Draining, match="the manager is closing"):
        waiter.result()
    with raises(Draining, match="the manager is closing"), late:
        pass
    for conn in held:
        manager.release(conn)


@on_latest
def test_close_does_not_wait_for_what_never_came(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """A connect that fails while the manager closes ends the waiting too."""
    with socket.create_server((HOST, 0)) as listener:
        dsn = postgres.dsn(host=HOST, port=listener.getsockname()[1])
        settings = make_settings(postgres, {"a": {"dbname": database}}, conninfo=dsn)
        manager = open_manager(settings)
        with pytest.raises(Refused):
            manager.acquire("a", timeout=0)
        assert manager.stats().databases["main"].opening == 1
        closing = Background(manager.close, 600)
        wait_until(lambda: not manager.is_open)
    assert closing.result() == 0


@on_latest
def test_a_closed_manager_says_so(manager: Manager):
    manager.close()
    assert manager.close() == 0
    with pytest.raises(ManagerClosed, match="the manager is closed"):
        manager.connection("a")
    for use in (manager.acquire, manager.warmup, manager.drain):
        with pytest.raises(ManagerClosed):
            use("a")
    with pytest.raises(ManagerClosed):
        manager.execute("a", "select 1")
    with raises(ManagerClosed), manager.transaction("a"):
        pass
    for name in ("pool", "resume", "evict", "reset_breaker"):
        with pytest.raises(ManagerClosed):
            getattr(manager, name)("a")
    with pytest.raises(ManagerClosed, match="closed and can't be opened"):
        manager.open()
    assert manager.leases() == []
    assert not manager.is_open


@on_latest
def test_a_manager_that_is_not_open_says_so(postgres: EmbeddedPostgres):
    manager = Manager(make_settings(postgres, {"a": {"dbname": "postgres"}}))
    with pytest.raises(ManagerClosed, match="not open yet"):
        manager.connection("a")
    assert manager.stats().databases == {}
    assert manager.leases() == []
    assert manager.close() == 0
    with manager:
        assert (manager.execute("a", "select 1")).fetchone() == (1,)
        with pytest.raises(ManagerClosed, match="open and can't be opened"):
            manager.open()


@on_all_versions
def test_the_capacity_can_be_read_from_the_server(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    [(free,)] = postgres.execute(
        "select current_setting('max_connections')::int"
        " - current_setting('superuser_reserved_connections')::int"
        " - current_setting('reserved_connections')::int"
    )
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity="auto", headroom=7)
    manager = open_manager(settings)
    assert manager.stats().databases["main"].capacity == free - 7
    assert (manager.execute("a", "select 1")).fetchone() == (1,)


@on_latest
def test_a_server_that_is_all_headroom_leaves_one_connection(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    manager = open_manager(make_settings(postgres, {}, capacity="auto", headroom=1000))
    assert manager.stats().databases["main"].capacity == 1


@on_latest
def test_a_database_that_is_down_is_no_error_and_comes_back(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    breaker = {"backoff": 600, "backoff_max": 600}
    settings = make_settings(
        postgres, {"a": {"dbname": database}}, capacity="auto", breaker=breaker
    )
    postgres.stop()
    try:
        manager = open_manager(settings)
        with pytest.raises(BreakerOpen) as refusal:
            manager.acquire("a")
        assert isinstance(refusal.value.__cause__, psycopg.OperationalError)
        assert manager.stats().databases["main"].capacity == 0
    finally:
        postgres.start()
    wait_until(lambda: manager.stats().databases["main"].capacity > 1)
    assert (manager.execute("a", "select 1")).fetchone() == (1,)


@on_latest
def test_guarantees_above_the_capacity_found_out_are_an_error_that_leaves_nothing(
    postgres: EmbeddedPostgres, database: str
):
    settings = make_settings(
        postgres,
        {name: {"dbname": database} for name in ("a", "b")},
        tier={"guarantee": 8},
        capacity="auto",
        headroom=90,
    )
    manager = Manager(settings)
    with pytest.raises(ConfigError, match="guarantee"):
        manager.open()
    assert not manager.is_open
    assert backends(postgres, "postgres") == []
    with pytest.raises(ManagerClosed):
        manager.connection("a")


@on_latest
def test_a_manager_closes_when_its_block_raises(postgres: EmbeddedPostgres, database: str):
    class Oops(Exception):
        pass

    with (
        raises(Oops),
        Manager(make_settings(postgres, {"a": {"dbname": database}})) as manager,
    ):
        manager.execute("a", "select 1")
        raise Oops
    assert backends(postgres, database) == []
