"""``manager.execute``: one statement by itself, its rows in memory."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from tenantpool import AsyncManager
from tests.manager._async.helpers import pid_of, raises
from tests.support.servers import on_latest

pytestmark = on_latest


async def test_rows_are_there_after_the_connection_went_back(manager: AsyncManager):
    result = await manager.execute("a", "select * from generate_series(1, %s) n", [5])
    assert manager.stats().tenants["a"].in_use == 0

    assert result.description is not None
    assert result.description[0].name == "n"
    assert (result.rowcount, result.statusmessage, len(result)) == (5, "SELECT 5", 5)
    assert result.fetchone() == (1,)
    assert result.fetchmany(2) == [(2,), (3,)]
    assert list(result) == [(4,), (5,)]
    assert result.fetchall() == []
    assert result.fetchone() is None


async def test_a_statement_without_rows_has_none(manager: AsyncManager):
    result = await manager.execute("a", "create temporary table t ()")
    assert (result.description, result.statusmessage) == (None, "CREATE TABLE")
    assert result.fetchone() is None
    assert result.fetchall() == []


async def test_it_runs_in_no_transaction(manager: AsyncManager):
    await manager.execute("a", "vacuum")
    async with raises(psycopg.errors.ActiveSqlTransaction), manager.connection("a") as conn:
        await conn.execute("vacuum")


@pytest.mark.parametrize(
    "statement", ["select 1", "select 1 / 0", "begin", "begin; select 1 / 0", "not sql at all"]
)
async def test_the_next_block_is_transactional_again(statement: str, manager: AsyncManager):
    backend = await pid_of(manager, "a")
    with suppress(psycopg.errors.DivisionByZero, psycopg.errors.SyntaxError):
        await manager.execute("a", statement)
    async with manager.connection("a") as conn:
        assert conn.info.backend_pid == backend
        assert not conn.autocommit
        assert conn.info.transaction_status.name == "IDLE"


async def test_a_connection_that_the_statement_ends_does_not_hide_the_reason(manager: AsyncManager):
    with pytest.raises(psycopg.errors.AdminShutdown):
        await manager.execute("a", "select pg_terminate_backend(pg_backend_pid()), pg_sleep(20)")
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)
