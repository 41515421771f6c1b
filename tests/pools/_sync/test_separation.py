# Generated from ../_async/test_separation.py by tools/generate_sync.py: do not edit.
"""Tenants of a shared pool see their own rows only, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tenantpool import ConnectFailed
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, on_all_versions, pid_of
from tests.manager.support import backends, make_settings, shared
from tests.support.servers import on_latest

HOSTILE = [
    "a'; drop table orders; --",
    'a"; drop table orders; --',
    "back\\slash'",
    "%s %(name)s %%",
    "{0} {tenant}",
    "$$; drop table orders; $$",
    "ünïcode ☃ 表\\",
    "with, comma and\nnew line",
]


def quoted(statement: str, *names: str) -> str:
    return sql.SQL(statement).format(*map(sql.Identifier, names)).as_string()


@pytest.fixture
def roles(postgres: EmbeddedPostgres) -> Iterator[Callable[[str], None]]:
    """``roles(name)`` makes a role, which goes with the test."""
    made: list[str] = []

    def make(name: str) -> None:
        postgres.execute(quoted("create role {}", name))
        made.append(name)

    yield make
    for name in made:
        for (dbname,) in postgres.execute("select datname from pg_database where datallowconn"):
            postgres.execute(quoted("drop owned by {} cascade", name), dbname=dbname)
        postgres.execute(quoted("drop role {}", name))


@on_all_versions
def test_a_schema_per_tenant(postgres: EmbeddedPostgres, database: str, open_manager: OpenManager):
    names = ["a", "b", *HOSTILE]
    tenants = {name: {"dbname": database, "schema": name} for name in names}
    for name in names:
        postgres.execute(quoted("create schema {}", name), dbname=database)
        postgres.execute(quoted("create table {}.orders (of text)", name), dbname=database)
    manager = open_manager(make_settings(postgres, tenants, capacity=1))

    for name in names:
        manager.execute(name, "insert into orders values (%s)", [name])

    for name in names:
        assert (manager.execute(name, "select of from orders")).fetchall() == [(name,)]
        schema = (manager.execute(name, "select current_schema()")).fetchone()
        assert schema == (name,)


@on_all_versions
def test_a_role_per_tenant(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    roles: Callable[[str], None],
):
    names = ["a", "b", *HOSTILE]
    for name in names:
        roles(name)
        postgres.execute(quoted("create schema {0} authorization {0}", name), dbname=database)
    tenants = {name: {"dbname": database, "role": name, "schema": name} for name in names}
    manager = open_manager(make_settings(postgres, tenants, capacity=1))

    for name in names:
        manager.execute(name, "create table orders as select 1")

    for name in names:
        assert (manager.execute(name, "select current_user")).fetchone() == (name,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        manager.execute("a", "select * from b.orders")


@on_all_versions
def test_row_level_security_by_a_setting(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    roles: Callable[[str], None],
):
    roles("reader")
    postgres.execute(
        "create table orders (tenant text default current_setting('app.tenant'));"
        "alter table orders enable row level security;"
        "create policy own on orders using (tenant = current_setting('app.tenant'));"
        "grant all on orders to reader",
        dbname=database,
    )
    names = ["a", "b", *HOSTILE]
    tenants = {name: {**spec, "role": "reader"} for name, spec in shared(database, *names).items()}
    manager = open_manager(make_settings(postgres, tenants, capacity=1))

    for name in names:
        manager.execute(name, "insert into orders default values")

    for name in names:
        assert (manager.execute(name, "select * from orders")).fetchall() == [(name,)]
    everything = postgres.execute("select count(*) from orders", dbname=database)
    assert everything == [(len(names),)]


@on_latest
def test_names_reach_a_server_of_another_encoding(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    postgres.execute("create database latin encoding latin1 locale 'C' template template0")
    try:
        postgres.execute(r'create schema U&"caf\00E9"', dbname="latin")
        tenants: dict[str, dict[str, Any]] = {
            "a": {"dbname": "latin", "schema": "café"},
            "b": {"dbname": "latin", "schema": "☃"},
        }
        manager = open_manager(make_settings(postgres, tenants))

        found = manager.execute("a", "select current_schema() = %s", ["café"])
        assert found.fetchone() == (True,)
        with pytest.raises(ConnectFailed) as refusal:
            manager.execute("b", "select 1")
        assert isinstance(refusal.value.__cause__, UnicodeEncodeError)
        manager.close()
    finally:
        postgres.execute("drop database latin with (force)")


@on_latest
def test_a_tenant_whose_role_is_missing_is_told_so_and_takes_no_slot(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {**shared(database, "a"), "b": {"dbname": database, "role": "nobody_here"}}
    manager = open_manager(make_settings(postgres, tenants, capacity=1))
    manager.execute("a", "select 1")

    for _ in range(3):
        with pytest.raises(ConnectFailed, match="session of the tenant") as refusal:
            manager.execute("b", "select 1", timeout=5)
        assert "nobody_here" in str(refusal.value)
        assert isinstance(refusal.value.__cause__, psycopg.Error)

    assert (manager.execute("a", "select 1")).fetchone() == (1,)
    assert manager.stats().databases["main"].used == len(backends(postgres, database)) == 1
    assert manager.stats().tenants["b"].in_use == 0


@on_latest
def test_reset_brings_back_what_the_pool_starts_with(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(
        postgres,
        shared(database, "a", "b"),
        capacity=1,
        conninfo=postgres.dsn(options="-c work_mem=5MB", application_name="ours"),
    )
    manager = open_manager(settings)
    for tenant in ("a", "b"):
        with manager.connection(tenant) as conn:
            cursor = conn.execute(
                "select current_setting('work_mem'), current_setting('application_name')"
            )
            assert cursor.fetchone() == ("5MB", "ours")
            conn.execute("set work_mem = '9MB'")
            conn.execute("set application_name = 'theirs'")


@on_latest
@pytest.mark.parametrize("kind", ["dedicated", "shared"])
def test_the_timeouts_of_the_tier_are_in_force(
    kind: str, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}} if kind == "dedicated" else shared(database, "a", "b")
    tier = {"statement_timeout": 0.05, "idle_in_transaction_session_timeout": 0.1}
    manager = open_manager(make_settings(postgres, tenants, tier=tier, capacity=1))
    for tenant in tenants:
        with pytest.raises(psycopg.errors.QueryCanceled):
            manager.execute(tenant, "select pg_sleep(20)")
        shown = manager.execute(tenant, "show idle_in_transaction_session_timeout")
        assert shown.fetchone() == ("100ms",)


@on_latest
@pytest.mark.parametrize("reset", ["switch", "always"])
def test_reset_always_wipes_the_session_at_every_return(
    reset: str, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a"), tier={"reset": reset}, capacity=1)
    manager = open_manager(settings)
    with manager.connection("a") as conn:
        conn.execute("set work_mem = '9MB'")
        backend = conn.info.backend_pid

    left = (manager.execute("a", "show work_mem")).fetchone()

    assert pid_of(manager, "a") == backend
    assert left == ("4MB",) if reset == "always" else ("9MB",)
    assert (manager.execute("a", "show app.tenant")).fetchone() == ("a",)
