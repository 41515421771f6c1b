"""Query insight in a manager: the plans of slow reads."""

from __future__ import annotations

import logging

import psycopg
import pytest

from tenantpool import LeaseEnded
from tests.manager._async.helpers import Background, raises, wait_until
from tests.manager._async.watched import ALWAYS, Watched, found, here
from tests.support.servers import on_latest


async def test_the_plan_of_a_slow_read_is_put_into_words(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True)
    async with manager.connection("a") as conn:
        await conn.execute("select * from items where name = 's3cret5'")
        place = here(-1)
    [finding] = found(manager, "plan")
    assert finding.what.startswith("Seq Scan of items: all of it is read, at a cost of ")
    assert finding.fix == "index the columns of its condition (name = ?::text)"
    assert (finding.statement, finding.place) == ("select * from items where name = ?", place)


async def test_with_parameters_it_is_the_generic_plan(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True)
    async with manager.connection("a") as conn:
        await conn.execute("select * from items where name = %s", ["s3cret5"])
    [finding] = found(manager, "plan")
    assert finding.what.startswith("Seq Scan of items: ")
    assert finding.what.endswith(" (a generic plan: parameters are not kept)")


@on_latest
async def test_explain_analyze_runs_reads_without_parameters_once_more(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True, explain_analyze=True)
    async with manager.connection("a") as conn:
        await conn.execute("select * from items where name = 's3cret5'")
    [removed] = [f for f in found(manager, "plan") if f.what.startswith("rows removed")]
    assert "49,999 rows were read and thrown away to keep 1" in removed.what


@on_latest
async def test_explain_analyze_changes_nothing(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True, explain_analyze=True)
    await manager.execute("a", "create sequence seq")
    await manager.execute(
        "a", "create function next() returns bigint return nextval('seq')"
    )  # a change that the words of a statement do not show
    async with manager.connection("a") as conn:
        cursor = await conn.execute("select next()")
        assert await cursor.fetchone() == (1,)
    async with manager.connection("a") as conn:
        assert await (await conn.execute("select last_value from seq")).fetchone() == (1,)


@on_latest
async def test_the_plan_of_a_shape_is_looked_at_once_in_an_interval(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True)
    for number in range(3):
        async with manager.connection("a") as conn:
            await conn.execute(f"select * from items where name = 's3cret{number}'")
    [finding] = found(manager, "plan")
    assert finding.times == 1
    assert found(manager, "slow statement")[0].times == 3


@on_latest
async def test_nothing_is_explained_while_somebody_waits(watched: Watched):
    manager = await watched(capacity=1, slow=ALWAYS, explain=True)

    async def wait() -> None:
        async with manager.connection("a"):
            pass

    async with manager.connection("a") as conn:
        await conn.execute("select * from items where name = 's3cret5'")
        waiter = Background(wait)
        await wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
    await waiter.result()
    assert found(manager, "plan") == []
    async with manager.connection("a") as conn:
        await conn.execute("select * from items where name = 's3cret5'")
    assert len(found(manager, "plan")) == 1


@on_latest
async def test_the_holders_transaction_ends_as_it_would(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True)
    async with manager.connection("a") as conn:
        await conn.execute("insert into items values (-1)")
        await conn.execute("select * from items where name = 's3cret5'")
    async with raises(ZeroDivisionError), manager.connection("a") as conn:
        await conn.execute("insert into items values (-2)")
        await conn.execute("select * from items where name = 's3cret5' and id > 0")
        raise ZeroDivisionError
    assert len(found(manager, "plan")) == 2
    result = await manager.execute("a", "select id from items where id < 0")
    assert result.fetchall() == [(-1,)]


@on_latest
async def test_what_can_not_be_explained_is_no_error_of_the_holders(
    watched: Watched, caplog: pytest.LogCaptureFixture
):
    manager = await watched(slow=ALWAYS, explain=True)
    caplog.set_level(logging.DEBUG, "tenantpool")
    async with manager.connection("a") as conn:
        await conn.execute("create temp table mine on commit drop as select 's3cret' as name")
        await conn.execute("select * from mine where name <> 's3cret'")
    [failed] = [r for r in caplog.records if r.getMessage().startswith("explain failed")]
    assert failed.fields == {"error": "UndefinedTable", "state": "42P01"}  # type: ignore[attr-defined]
    async with manager.connection("a") as conn:
        assert not conn.autocommit
        assert await (await conn.execute("select 1")).fetchone() == (1,)


@on_latest
async def test_a_commit_that_fails_is_raised_although_a_plan_was_due(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True)
    await manager.execute("a", "create table u (id int unique deferrable initially deferred)")
    async with raises(psycopg.errors.UniqueViolation), manager.connection("a") as conn:
        await conn.execute("insert into u values (1), (1)")
        await conn.execute("select * from items where name = 's3cret5'")
    assert manager.leases() == []


@on_latest
async def test_a_revoked_lease_is_not_explained(watched: Watched):
    manager = await watched(slow=ALWAYS, explain=True)
    async with raises((LeaseEnded, psycopg.OperationalError)), manager.connection("a") as conn:
        await conn.execute("select * from items where name = 's3cret5'")
        [lease] = manager.leases()
        manager.revoke(lease)
    assert found(manager, "plan") == []
