"""Another process holds the connection's socket, and is cut off whatever it does."""

from __future__ import annotations

import psycopg
import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import wait_until
from tests.pools._async.conftest import OpenLink
from tests.pools.frames import COPY_DATA, COPY_DONE, SYNC, extended, frame, query
from tests.support.holder import Holder
from tests.support.servers import on_latest

pytestmark = on_latest

DOINGS = {
    "nothing": (b"", query("insert into orders values (1)")),
    "a statement": (
        query("insert into orders select 1 from pg_sleep(600)"),
        query("insert into orders values (1)"),
    ),
    "statements, one after another": (
        query("insert into orders select 1 from pg_sleep(600)") * 3,
        query("insert into orders values (1)"),
    ),
    "a transaction": (query("begin; insert into orders values (1)"), query("commit")),
    "a statement without its sync": (extended("insert into orders values (1)"), SYNC),
    "a copy to the server": (
        query("copy orders from stdin") + COPY_DATA * 100,
        COPY_DATA + COPY_DONE,
    ),
    "a copy that it does not read": (
        query("copy (select generate_series(1, 10000000)) to stdout"),
        query("insert into orders values (1)"),
    ),
    "half a message": (
        query("insert into orders values (1)")[:-3],
        query("insert into orders values (1)")[-3:],
    ),
    "a message that there is not": (frame(b"?"), query("insert into orders values (1)")),
}
"""What it is in the middle of, and how it would go on."""

STUBBORN = """
do $$ begin perform pg_sleep(600); exception when query_canceled then
    loop
        begin perform pg_advisory_lock(1); exit; exception when query_canceled then null; end;
    end loop;
end $$
"""
"""Passes over every cancel, until the lock is free."""


def is_listed(postgres: EmbeddedPostgres, pid: int) -> bool:
    return postgres.execute("select 1 from pg_stat_activity where pid = %s", [pid]) != []


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize(("begin", "go_on"), DOINGS.values(), ids=DOINGS)
async def test_it_is_cut_off(
    begin: bytes,
    go_on: bytes,
    stopped: bool,
    postgres: EmbeddedPostgres,
    database: str,
    open_link: OpenLink,
):
    postgres.execute("create table orders (id int)", dbname=database)
    link = await open_link(postgres.dsn(database))
    with Holder(link.socket) as holder:
        assert holder.send(begin or SYNC) == ""
        if stopped:
            holder.stop()

        assert await link.cut(20)
        assert not is_listed(postgres, link.pid)

        holder.go_on()
        assert holder.send(go_on) in ("BrokenPipeError", "ConnectionResetError")
    assert postgres.execute("select * from orders", dbname=database) == []


async def test_it_can_send_nothing_from_the_first_moment(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    """The backend does not end for a while, and then the commit is not in time."""
    postgres.execute("create table orders (id int)", dbname=database)
    link = await open_link(postgres.dsn(database))
    with (
        psycopg.connect(postgres.dsn(database), autocommit=True) as keeper,
        Holder(link.socket) as holder,
    ):
        keeper.execute("select pg_advisory_lock(1)")
        holder.send(query("begin; insert into orders values (1)"))
        holder.send(query(STUBBORN))
        await wait_until(lambda: is_asleep(postgres, link.pid))
        holder.stop()

        assert not await link.cut(0.1)
        assert is_listed(postgres, link.pid)
        holder.go_on()
        assert holder.send(query("commit")) == "BrokenPipeError"

        keeper.execute("select pg_advisory_unlock(1)")
        assert await link.cut(20)
    assert postgres.execute("select * from orders", dbname=database) == []


def is_asleep(postgres: EmbeddedPostgres, pid: int) -> bool:
    sql = "select wait_event from pg_stat_activity where pid = %s"
    return postgres.execute(sql, [pid]) == [("PgSleep",)]


async def test_what_was_shared_is_cut_off_when_it_ends(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    """libpq, which knows nothing of the statement, would have waited for its end."""
    link = await open_link(postgres.dsn(database))
    with Holder(link.socket) as holder:
        holder.send(query("select pg_sleep(600)"))
        assert await link.end(20)
        assert not is_listed(postgres, link.pid)


async def test_a_statement_of_another_process_can_be_cancelled(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    with Holder(link.socket) as holder:
        holder.send(query("select pg_sleep(600)"))
        await wait_until(lambda: is_asleep(postgres, link.pid))
        await link.cancel(20)
        await wait_until(lambda: not is_asleep(postgres, link.pid))
    assert is_listed(postgres, link.pid)
