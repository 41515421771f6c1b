# Generated from ../_async/test_with_service.py by tools/generate_sync.py: do not edit.
"""The client and the real service, in two processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy import NullPool, create_engine, text

from tenantpool.client import LeaseClient
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import Draining, LeaseEnded, NotAuthenticated, TenantLimit, UnknownTenant
from tests.client._sync.helpers import Background, Client, OpenClient, raises, wait_until
from tests.client.serve import RealService
from tests.support.servers import on_latest

pytestmark = on_latest

TOKEN = "a-token-of-the-worker"


@pytest.fixture
def open_real(service: RealService) -> Iterator[OpenClient]:
    """``open_real(...)`` returns a client of the real service, which is closed with the test."""
    with ExitStack() as stack:

        def open_one(**options: Any) -> Client:
            target = options.pop("target", f"unix:{service.folder}")
            options = {"token": TOKEN, "linger": 0, "kwargs": {"autocommit": True}, **options}
            return stack.enter_context(LeaseClient(target, **options))

        yield open_one


def pid_of(client: Client, tenant: str = "a", **options: Any) -> int:
    with client.connection(tenant, **options) as conn:
        row = (conn.execute("select pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


def test_by_hand_off(open_real: OpenClient, service: RealService):
    client = open_real()
    for _ in range(5):
        assert pid_of(client)
    stats = client.stats()
    assert (stats.acquired, stats.connects, stats.hand_overs) == (5, 1, 4)
    wait_until(lambda: service.leases() == 0)


def test_through_the_gateway(open_real: OpenClient, service: RealService):
    client = open_real(delivery="gateway")
    for _ in range(3):
        assert pid_of(client)
        wait_until(lambda: service.leases() == 0)
    assert client.stats().connects == 3


def test_directly(open_real: OpenClient, service: RealService):
    client = open_real(delivery="direct")
    with client.connection("a") as conn:
        cursor = conn.execute("show application_name")
        assert "tenantpool" in (cursor.fetchone() or ("",))[0]
    wait_until(lambda: service.leases() == 0)


def test_a_session_is_wiped_between_leases(open_real: OpenClient):
    client = open_real(kwargs={"autocommit": True, "prepare_threshold": 0})
    for _ in range(3):
        with client.connection("a") as conn:
            assert (conn.execute("show work_mem")).fetchone() == ("4MB",)
            conn.execute("set work_mem = '1234kB'")
            conn.execute("create temp table t (x int)")
            conn.execute("select %s::int", [1])


def test_settings_that_libpq_remembers(open_real: OpenClient):
    client = open_real()
    with client.connection("a") as conn:
        conn.execute("set client_encoding = latin1")
    with client.connection("a") as conn:
        assert (conn.execute("select 'ü€'")).fetchone() == ("ü€",)
        assert (conn.execute("show client_encoding")).fetchone() == ("UTF8",)


@pytest.fixture
def role(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The role of the tenant d, to whom libpq must say other things than to others."""
    postgres.execute("create role tenant_d login")
    postgres.execute("alter role tenant_d set timezone = 'Asia/Tokyo'")
    yield "tenant_d"
    postgres.execute("drop role tenant_d")


def test_one_libpq_object_serves_tenants_of_other_databases_and_roles(
    open_real: OpenClient, role: str
):
    client = open_real()
    for tenant in "acdadc":
        with client.connection(tenant) as conn:
            query = "select current_database(), session_user, current_setting('timezone')"
            row = (conn.execute(query)).fetchone()
            assert row is not None
            dbname, user, timezone = row
            assert (user == role) == (tenant == "d")
            assert conn.info.dbname == conn.info.get_parameters()["dbname"] == dbname
            assert conn.info.user.startswith(f"{tenant}/")
            assert conn.info.parameter_status("session_authorization") == user
            assert conn.info.parameter_status("TimeZone") == timezone
            conn.execute("set timezone = 'Europe/Rome'")
    stats = client.stats()
    assert (stats.connects, stats.hand_overs, stats.husks) == (1, 5, 1)


def test_a_statement_is_cancelled(open_real: OpenClient, postgres: EmbeddedPostgres):
    client = open_real()
    for tenant in "aac":
        with client.connection(tenant) as conn:
            pid = ((conn.execute("select pg_backend_pid()")).fetchone() or (0,))[0]
            sleep = Background(conn.execute, "select pg_sleep(600)")
            wait_until(partial(_sleeps, postgres, pid))
            conn.cancel_safe(timeout=10)
            with pytest.raises(psycopg.errors.QueryCanceled):
                sleep.result()
    assert client.stats().hand_overs == 2


def _sleeps(postgres: EmbeddedPostgres, pid: int) -> bool:
    query = "select 1 from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
    return bool(postgres.execute(query, [pid]))


def test_a_limit_that_is_met_says_who_holds_it(open_real: OpenClient):
    client = open_real()
    held = [client.acquire("a") for _ in range(4)]
    with pytest.raises(TenantLimit) as caught:
        client.acquire("a", timeout=0.1)
    assert caught.value.holders == {"a": 4}
    with pytest.raises(UnknownTenant):
        client.acquire("nobody")
    for conn in held:
        conn.close()


def test_a_waiter_gets_what_comes_back(open_real: OpenClient):
    client = open_real()
    held = [client.acquire("a") for _ in range(4)]
    waiter = Background(pid_of, client)
    held[0].close()
    assert waiter.result()
    for conn in held[1:]:
        conn.close()


def test_what_one_worker_parks_another_may_need(open_real: OpenClient, service: RealService):
    hoarder, other = open_real(linger=60), open_real()
    held = [hoarder.acquire("a") for _ in range(4)]
    for conn in held:
        conn.close()
    assert hoarder.stats().parked == 4
    assert pid_of(other, "b", timeout=10)
    assert hoarder.stats().parked < 4
    assert hoarder.stats().recalls > 0


def test_a_drain_takes_what_is_parked(open_real: OpenClient, service: RealService):
    client = open_real(linger=60)
    pid_of(client, "b")
    held = client.acquire("a")
    pid_of(client, "a")
    assert not service.drain("a", 0.1), "one is in use"
    wait_until(lambda: client.stats().parked == 1)
    held.close()
    assert service.drain("a", 20.0)
    assert client.stats().parked == 1, "that of another tenant"
    with pytest.raises(Draining):
        client.acquire("a")


def test_revoked_after_a_notice(open_real: OpenClient, service: RealService):
    told: list[Any] = []
    client = open_real(linger=60, on_drain=told.append)
    with raises(LeaseEnded), client.connection("a") as conn:
        assert service.revoke("a/", 0.2, "maintenance") == 1
        wait_until(lambda: client.stats().ended)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert [(drain.tenant, drain.reason) for drain in told] == [("a", "maintenance")]
    wait_until(lambda: service.leases() == 0)
    assert pid_of(client)


def test_the_service_is_killed_and_comes_back(open_real: OpenClient, service: RealService):
    client = open_real()
    with raises(LeaseEnded), client.connection("a") as conn:
        service.kill()
        wait_until(lambda: client.stats().ended)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    waiting = Background(pid_of, client, timeout=20)
    service.start()
    assert waiting.result()
    assert client.stats().sessions == 2


def test_the_service_ends_while_a_lease_is_in_use(open_real: OpenClient, service: RealService):
    client = open_real(linger=60)
    pid_of(client, "b")
    with raises(LeaseEnded), client.connection("a"):
        service.stop()
        wait_until(lambda: client.stats().ended)
    assert client.stats().parked == 0


def test_a_worker_that_says_goodbye_leaves_nothing(open_real: OpenClient, service: RealService):
    client = open_real()
    conn = client.acquire("a")
    assert service.leases() == 1
    assert client.close(grace=0) == 1
    assert service.leases() == 0
    conn.close()


def test_a_wrong_token_is_told_at_once(open_real: OpenClient):
    client = open_real(token="not-the-token-of-anybody")
    with pytest.raises(NotAuthenticated):
        client.acquire("a", timeout=20)


def test_sqlalchemy(open_real: OpenClient, service: RealService):
    client = open_real(kwargs=None)
    creator: Any = client.creator("a")
    engine = create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)
    for _ in range(2):
        with engine.begin() as conn:
            assert (conn.execute(text("select 1"))).scalar() == 1
    engine.dispose()
    assert client.stats().lent == 0
    assert client.stats().hand_overs >= 1
    wait_until(lambda: service.leases() == 0)
