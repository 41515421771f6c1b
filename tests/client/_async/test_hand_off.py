"""The traps of handing over a socket, each by its name on the page about hand-offs."""

from __future__ import annotations

import os
import select
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.pq import ExecStatus

from tenantpool.client import shelf
from tenantpool.errors import LeaseEnded
from tenantpool.status import to_status
from tests.client._async.helpers import (
    Background,
    Client,
    Oops,
    OpenClient,
    raises,
    wait_until,
)
from tests.client.fake import FakeService
from tests.support.servers import on_latest

pytestmark = on_latest


async def pid_of(conn: psycopg.AsyncConnection[Any]) -> int:
    row = await (await conn.execute("select pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


async def returned(fake: FakeService, number: int = 1) -> list[Any]:
    """The first releases that were said, when there are as many."""
    await wait_until(lambda: len(fake.heard("release")) >= number and not fake.loans)
    return fake.heard("release")


async def test_terminate_does_not_reach_the_backend(client: Client, fake: FakeService):
    pids = set()
    for number in range(3):
        async with client.connection("a") as conn:
            pids.add(await pid_of(conn))
        await returned(fake, number + 1)
    await client.close()
    assert len(pids) == 1
    (idle,) = fake.idle
    assert idle.execute("select pg_backend_pid()").fetchone() == (*pids,)


async def test_closing_the_connection_does_not_end_the_backend(client: Client, fake: FakeService):
    conn = await client.acquire("a")
    pid = await pid_of(conn)
    await conn.close()
    await returned(fake)
    assert fake.idle[0].execute("select pg_backend_pid()").fetchone() == (pid,)


async def test_prepared_statements_are_forgotten(open_client: OpenClient, fake: FakeService):
    client = await open_client(kwargs={"autocommit": True, "prepare_threshold": 0})
    for number in range(3):
        async with client.connection("a") as conn:
            for value in range(3):
                cursor = await conn.execute("select %s::int", [value])
                assert await cursor.fetchone() == (value,)
        await returned(fake, number + 1)
    assert client.stats().hand_overs == 2


async def test_a_statement_is_cancelled_through_the_service(client: Client, fake: FakeService):
    for number in range(2):  # in a new husk, and in one that is filled again
        async with client.connection("a") as conn:
            sleep = Background(conn.execute, "select pg_sleep(600)")
            (loan,) = fake.loans.values()
            await wait_until(partial(_is_running, fake, loan.conn.info.backend_pid))
            await conn.cancel_safe(timeout=10)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await sleep.result()
            assert await (await conn.execute("select 1")).fetchone() == (1,)
        await returned(fake, number + 1)
    assert client.stats().hand_overs == 1


def _is_running(fake: FakeService, pid: int) -> bool:
    with psycopg.connect(fake.conninfo) as conn:
        query = "select 1 from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
        return conn.execute(query, [pid]).fetchone() is not None


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("client_encoding = latin1", "client_encoding"),
        ("timezone = 'Asia/Tokyo'", "TimeZone"),
        ("standard_conforming_strings = off", "standard_conforming_strings"),
    ],
)
async def test_libpq_forgets_what_a_holder_has_set(
    setting: str, name: str, client: Client, fake: FakeService
):
    async with client.connection("a") as conn:
        before = conn.info.parameter_status(name)
        await conn.execute(f"set {setting}")
        assert conn.info.parameter_status(name) != before
    (release,) = await returned(fake)
    assert not release.broken
    async with client.connection("a") as conn:
        assert conn.info.parameter_status(name) == before
        assert conn.info.encoding == "utf-8"
        assert await (await conn.execute("select 'ü€\\'")).fetchone() == ("ü€\\",)
    assert client.stats().hand_overs == 1


async def test_libpq_forgets_as_well_when_the_next_lease_is_refused(
    client: Client, fake: FakeService
):
    async with client.connection("a") as conn:
        before = conn.info.timezone
        await conn.execute("set timezone = 'Asia/Tokyo'")
    await returned(fake)
    fake.refusals = [to_status(LeaseEnded("a: it has ended"))]
    with pytest.raises(LeaseEnded):
        await client.acquire("a")
    async with client.connection("a") as conn:
        assert conn.info.timezone == before
    assert client.stats().hand_overs == 1


async def test_handlers_are_not_carried_over(client: Client, fake: FakeService):
    notices: list[Any] = []
    async with client.connection("a") as conn:
        conn.add_notice_handler(notices.append)
        conn.add_notify_handler(notices.append)
    async with client.connection("a") as conn:
        await conn.execute("do $$ begin raise notice 'for nobody'; end $$")
        await conn.execute("listen c")
        await conn.execute("notify c")
        await conn.execute("unlisten c")
    assert notices == []


async def test_a_notification_that_is_left_does_not_reach_the_next(
    client: Client, fake: FakeService
):
    async with client.connection("a") as conn:
        await conn.execute("listen c")
        with psycopg.connect(fake.conninfo, autocommit=True) as other:
            other.execute("notify c, 'late'")
        await wait_until(partial(_has_unread, conn.fileno()))
    await returned(fake)
    assert client.stats().husks == 0


def _has_unread(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


async def test_pipeline_mode_that_is_left_on_breaks_the_lease(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        conn.pgconn.enter_pipeline_mode()
    (release,) = await returned(fake)
    assert release.broken
    assert client.stats().husks == 0


async def test_a_pipeline_works(client: Client, fake: FakeService):
    async with client.connection("a") as conn, conn.pipeline():
        cursors = [await conn.execute("select %s::int", [number]) for number in range(10)]
        rows = [await cursor.fetchone() for cursor in cursors]
    assert rows == [(number,) for number in range(10)]
    (release,) = await returned(fake)
    assert not release.broken


async def test_a_copy_works(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        await conn.execute("create temp table t (x int)")
        async with conn.cursor().copy("copy t from stdin") as copy:
            for number in range(10_000):
                await copy.write_row([number])
        rows = 0
        async with conn.cursor().copy("copy t to stdout") as copy:
            async for _ in copy.rows():
                rows += 1
    assert rows == 10_000
    (release,) = await returned(fake)
    assert not release.broken


async def test_a_copy_that_is_left_breaks_the_lease(client: Client, fake: FakeService):
    async with raises(Oops), client.connection("a") as conn:
        conn.pgconn.send_query(b"copy (select generate_series(1, 1000000)) to stdout")
        raise Oops
    (release,) = await returned(fake)
    assert release.broken


async def test_a_statement_that_still_runs_breaks_the_lease(client: Client, fake: FakeService):
    async with raises(psycopg.OperationalError), client.connection("a") as conn:
        conn.pgconn.send_query(b"select pg_sleep(600)")
    (release,) = await returned(fake)
    assert release.broken
    assert client.stats().husks == 0
    async with client.connection("a") as conn:
        assert await (await conn.execute("select 1")).fetchone() == (1,)


async def test_a_libpq_object_that_was_closed_breaks_the_lease(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        conn.pgconn.finish()
        other = os.open("/dev/null", os.O_RDONLY)  # may get its number
    (release,) = await returned(fake)
    assert release.broken
    os.close(other)
    async with client.connection("a") as conn:
        assert await (await conn.execute("select 1")).fetchone() == (1,)


async def test_a_backend_that_dies_breaks_the_lease(client: Client, fake: FakeService):
    async with raises(psycopg.OperationalError), client.connection("a") as conn:
        with psycopg.connect(fake.conninfo) as other:
            other.execute("select pg_terminate_backend(%s)", [await pid_of(conn)])
        await conn.execute("select 1")
    (release,) = await returned(fake)
    assert release.broken
    async with client.connection("a") as conn:
        assert await (await conn.execute("select 1")).fetchone() == (1,)


async def test_a_connection_that_died_is_given_back_by_close(client: Client, fake: FakeService):
    conn = await client.acquire("a")
    with psycopg.connect(fake.conninfo) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [await pid_of(conn)])
    with pytest.raises(psycopg.OperationalError):
        await conn.execute("select 1")
    assert conn.closed
    await conn.close()
    (release,) = await returned(fake)
    assert release.broken
    assert client.stats().lent == 0


async def test_what_was_kept_of_a_lease_is_closed(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        cursor = await conn.execute("select 1")
    async with client.connection("a") as next_conn:
        assert conn.closed
        assert not conn.broken
        for use in (conn.execute, cursor.execute):
            with pytest.raises(psycopg.Error):
                await use("select 1")
        with pytest.raises(psycopg.Error):
            await conn.rollback()
        assert await (await next_conn.execute("select 1")).fetchone() == (1,)


async def test_a_libpq_object_that_was_kept_gets_errors(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        pgconn = conn.pgconn
    await returned(fake)
    assert pgconn.exec_(b"select 1").status == ExecStatus.FATAL_ERROR
    async with client.connection("a") as conn:  # not in this husk
        assert conn.pgconn is not pgconn
        assert await (await conn.execute("select 1")).fetchone() == (1,)


async def test_husks_are_bounded(
    open_client: OpenClient, fake: FakeService, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shelf, "_MOST_HUSKS", 3)
    client = await open_client()
    for conn in [await client.acquire(f"t{number}") for number in range(5)]:
        await conn.close()
    assert client.stats().husks == 3
    await wait_until(lambda: len(fake.heard("discard")) == 2)
    await wait_until(lambda: len(fake.husks) == 3)


async def test_a_tenant_gets_its_own_husk_again_and_else_the_one_that_was_used_first(
    client: Client, fake: FakeService
):
    used = {}
    for conn in [await client.acquire(tenant) for tenant in "abc"]:
        used[conn.info.user[0]] = conn.pgconn
        await conn.close()
    for tenant, first in ("b", "b"), ("c", "c"), ("new", "a"), ("b", "b"), ("new", "a"):
        async with client.connection(tenant) as conn:
            assert conn.pgconn is used[first]
    assert (client.stats().husks, client.stats().hand_overs) == (3, 5)


async def test_descriptors_do_not_leak(client: Client, fake: FakeService):
    async with client.connection("a"):
        pass
    await returned(fake)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        async with client.connection("a") as conn:
            await conn.execute("select 1")
            if number % 5 == 0:
                await conn.execute("set timezone = 'Asia/Tokyo'")
    await returned(fake, 51)
    await wait_until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_a_program_that_is_started_inherits_nothing(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        husk_fd = conn.fileno()
        assert not os.get_inheritable(husk_fd)
    async with client.connection("a") as conn:
        assert conn.fileno() == husk_fd
        assert not os.get_inheritable(husk_fd)
        assert not os.get_inheritable(conn._pool._grant.leash)
    await returned(fake, 2)
    assert not os.get_inheritable(husk_fd)
