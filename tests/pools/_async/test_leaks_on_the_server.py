"""Rule 9: nothing of one tenant's session reaches another tenant of a shared pool, on the server.

Each test looks three times: in a fresh session, after the first tenant has left its mark (it must
show, or the test would prove nothing), and as the next tenant on the same backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, on_all_versions
from tests.manager.support import make_settings, shared
from tests.support.servers import on_latest

MARKS = {
    "a setting": ("set work_mem = '77MB'", "show work_mem"),
    "a setting of its own": (
        "set custom.secret = 'of a'",
        "select nullif(current_setting('custom.secret', true), '')",
    ),
    "a timeout": ("set statement_timeout = 12345", "show statement_timeout"),
    "what a transaction starts with": (
        "set default_transaction_read_only = on",
        "show transaction_read_only",
    ),
    "the search path": ("set search_path = pg_catalog", "show search_path"),
    "the client encoding": ("set client_encoding = latin1", "show client_encoding"),
    "the time zone": ("set time zone 'Asia/Kolkata'", "show time zone"),
    "a role": ("set role pg_monitor", "select current_user"),
    "a session authorization": ("set session authorization pg_monitor", "select session_user"),
    "a temporary table": (
        "create temporary table mine as select 1",
        "select to_regclass('pg_temp.mine')::text",
    ),
    "a temporary function": (
        "create function pg_temp.mine() returns int language sql return 1",
        "select to_regproc('pg_temp.mine')::text",
    ),
    "a prepared statement": (
        "prepare mine as select 1",
        "select count(*) from pg_prepared_statements",
    ),
    "a cursor with hold": (
        "declare mine cursor with hold for select 1",
        "select count(*) from pg_cursors where name = 'mine'",
    ),
    "a channel listened to": ("listen mine", "select count(*) from pg_listening_channels()"),
    "an advisory lock": (
        "select pg_advisory_lock(7), pg_advisory_lock_shared(8)",
        "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    ),
    "a sequence's value": (
        "create sequence if not exists numbers; select nextval('numbers')",
        "select lastval()",
    ),
}


async def look(conn: AsyncConnection[Any], query: str) -> object:
    """The one value of *query*, or the error it met; in a transaction of its own."""
    try:
        async with conn.transaction():
            row = await (await conn.execute(query.encode())).fetchone()
    except psycopg.Error as error:
        return error.sqlstate
    assert row is not None
    return row[0]


@on_all_versions
@pytest.mark.parametrize(("leave", "query"), MARKS.values(), ids=MARKS)
async def test_no_mark_of_a_tenant_is_left(
    leave: str, query: str, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = await open_manager(settings)
    async with manager.connection("a") as conn:
        backend, clean = conn.info.backend_pid, await look(conn, query)
        await conn.execute(leave.encode())
        await conn.commit()
        assert await look(conn, query) != clean

    async with manager.connection("b") as conn:
        assert conn.info.backend_pid == backend
        assert await look(conn, query) == clean
    async with manager.connection("a") as conn:
        assert await look(conn, query) == clean


@on_latest
@pytest.mark.parametrize("fails", [False, True], ids=["open", "failed"])
async def test_no_transaction_of_a_tenant_is_left(
    fails: bool, postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = await open_manager(settings)
    conn = await manager.acquire("a")
    await conn.execute("create table orders (id int)")
    if fails:
        with pytest.raises(psycopg.errors.DivisionByZero):
            await conn.execute("select 1 / 0")
    await manager.release(conn)

    async with manager.connection("b") as conn:
        assert await look(conn, "select to_regclass('orders')::text") is None
    assert (
        postgres.execute("select 1 from pg_class where relname = 'orders'", dbname=database) == []
    )


@on_latest
async def test_statements_that_psycopg_prepared_are_gone(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = await open_manager(settings)
    for tenant in ("a", "b", "a"):
        async with manager.connection(tenant) as conn:
            conn.prepare_threshold = 0
            assert await names_of_prepared(conn) == ["_pg3_0"]


async def names_of_prepared(conn: AsyncConnection[Any]) -> Sequence[str]:
    """Prepare a statement, and return the names of all that the session has."""
    cursor = await conn.execute("select name from pg_prepared_statements", prepare=True)
    cursor = await conn.execute("select name from pg_prepared_statements", prepare=True)
    return [name for (name,) in await cursor.fetchall()]


@on_latest
async def test_a_lock_of_the_former_tenant_holds_up_nobody(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = await open_manager(settings)
    async with manager.connection("a") as conn:
        await conn.execute("select pg_advisory_lock(1)")

    await manager.execute("b", "select 1")

    taken = postgres.execute("select pg_try_advisory_lock(1)", dbname=database)
    assert taken == [(True,)]
