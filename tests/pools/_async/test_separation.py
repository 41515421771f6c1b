"""Tenants of a shared pool see their own rows only, whatever they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tenantpool import ConnectFailed
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, on_all_versions, pid_of
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
async def test_a_schema_per_tenant(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    names = ["a", "b", *HOSTILE]
    tenants = {name: {"dbname": database, "schema": name} for name in names}
    for name in names:
        postgres.execute(quoted("create schema {}", name), dbname=database)
        postgres.execute(quoted("create table {}.orders (of text)", name), dbname=database)
    manager = await open_manager(make_settings(postgres, tenants, capacity=1))

    for name in names:
        await manager.execute(name, "insert into orders values (%s)", [name])

    for name in names:
        assert (await manager.execute(name, "select of from orders")).fetchall() == [(name,)]
        schema = (await manager.execute(name, "select current_schema()")).fetchone()
        assert schema == (name,)


@on_all_versions
async def test_a_role_per_tenant(
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
    manager = await open_manager(make_settings(postgres, tenants, capacity=1))

    for name in names:
        await manager.execute(name, "create table orders as select 1")

    for name in names:
        assert (await manager.execute(name, "select current_user")).fetchone() == (name,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await manager.execute("a", "select * from b.orders")


@on_all_versions
async def test_row_level_security_by_a_setting(
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
    manager = await open_manager(make_settings(postgres, tenants, capacity=1))

    for name in names:
        await manager.execute(name, "insert into orders default values")

    for name in names:
        assert (await manager.execute(name, "select * from orders")).fetchall() == [(name,)]
    everything = postgres.execute("select count(*) from orders", dbname=database)
    assert everything == [(len(names),)]


@on_latest
async def test_names_reach_a_server_of_another_encoding(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    postgres.execute("create database latin encoding latin1 locale 'C' template template0")
    try:
        postgres.execute(r'create schema U&"caf\00E9"', dbname="latin")
        tenants: dict[str, dict[str, Any]] = {
            "a": {"dbname": "latin", "schema": "café"},
            "b": {"dbname": "latin", "schema": "☃"},
        }
        manager = await open_manager(make_settings(postgres, tenants))

        found = await manager.execute("a", "select current_schema() = %s", ["café"])
        assert found.fetchone() == (True,)
        with pytest.raises(ConnectFailed) as refusal:
            await manager.execute("b", "select 1")
        assert isinstance(refusal.value.__cause__, UnicodeEncodeError)
        await manager.close()
    finally:
        postgres.execute("drop database latin with (force)")


@on_latest
async def test_a_tenant_whose_role_is_missing_is_told_so_and_takes_no_slot(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {**shared(database, "a"), "b": {"dbname": database, "role": "nobody_here"}}
    manager = await open_manager(make_settings(postgres, tenants, capacity=1))
    await manager.execute("a", "select 1")

    for _ in range(3):
        with pytest.raises(ConnectFailed, match="session of the tenant") as refusal:
            await manager.execute("b", "select 1", timeout=5)
        assert "nobody_here" in str(refusal.value)
        assert isinstance(refusal.value.__cause__, psycopg.Error)

    assert (await manager.execute("a", "select 1")).fetchone() == (1,)
    assert manager.stats().databases["main"].used == len(backends(postgres, database)) == 1
    assert manager.stats().tenants["b"].in_use == 0


@on_latest
async def test_reset_brings_back_what_the_pool_starts_with(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(
        postgres,
        shared(database, "a", "b"),
        capacity=1,
        conninfo=postgres.dsn(options="-c work_mem=5MB", application_name="ours"),
    )
    manager = await open_manager(settings)
    for tenant in ("a", "b"):
        async with manager.connection(tenant) as conn:
            cursor = await conn.execute(
                "select current_setting('work_mem'), current_setting('application_name')"
            )
            assert await cursor.fetchone() == ("5MB", "ours")
            await conn.execute("set work_mem = '9MB'")
            await conn.execute("set application_name = 'theirs'")


@on_latest
@pytest.mark.parametrize("kind", ["dedicated", "shared"])
async def test_the_timeouts_of_the_tier_are_in_force(
    kind: str, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    tenants = {"a": {"dbname": database}} if kind == "dedicated" else shared(database, "a", "b")
    tier = {"statement_timeout": 0.05, "idle_in_transaction_session_timeout": 0.1}
    manager = await open_manager(make_settings(postgres, tenants, tier=tier, capacity=1))
    for tenant in tenants:
        with pytest.raises(psycopg.errors.QueryCanceled):
            await manager.execute(tenant, "select pg_sleep(20)")
        shown = await manager.execute(tenant, "show idle_in_transaction_session_timeout")
        assert shown.fetchone() == ("100ms",)


@on_latest
@pytest.mark.parametrize("reset", ["switch", "always"])
async def test_reset_always_wipes_the_session_at_every_return(
    reset: str, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a"), tier={"reset": reset}, capacity=1)
    manager = await open_manager(settings)
    async with manager.connection("a") as conn:
        await conn.execute("set work_mem = '9MB'")
        backend = conn.info.backend_pid

    left = (await manager.execute("a", "show work_mem")).fetchone()

    assert await pid_of(manager, "a") == backend
    assert left == ("4MB",) if reset == "always" else ("9MB",)
    assert (await manager.execute("a", "show app.tenant")).fetchone() == ("a",)
