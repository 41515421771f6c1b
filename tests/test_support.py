"""The helpers of the tests, where a mistake would make other tests pass for nothing."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable

import psycopg
import pytest

from tenantpool.embedded import HOST, EmbeddedPostgres
from tests.support import leaks
from tests.support.leaks import Snapshot, tasks_left_behind
from tests.support.sampler import Sampler
from tests.support.servers import Servers, on_latest
from tests.support.severer import Severer
from tests.support.wait import wait_until, wait_until_async

Databases = Callable[[int], list[str]]


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "GRACE", 0.05)


@pytest.mark.usefixtures("short_grace")
def test_a_thread_and_a_descriptor_left_behind_are_found():
    before = Snapshot.take()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="stray")
    thread.start()
    pipe = os.pipe()

    left = before.left_behind()

    end.set()
    thread.join()
    for number in pipe:
        os.close(number)
    assert left[0].startswith(f"descriptor {pipe[0]} -> pipe:")
    assert left[-1] == "thread stray"
    assert before.left_behind() == []


@pytest.mark.usefixtures("short_grace")
async def test_a_task_left_behind_is_found():
    before = asyncio.all_tasks()
    task = asyncio.create_task(asyncio.sleep(60), name="stray")

    [left] = await tasks_left_behind(before)

    task.cancel()
    assert left.startswith("task stray: <coroutine object sleep")


async def test_waiting_in_vain_says_for_what():
    with pytest.raises(AssertionError, match=r"waited 0.01 s in vain: Godot"):
        wait_until(lambda: False, 0.01, what="Godot")
    with pytest.raises(AssertionError, match=r"waited 0.01 s in vain: Godot"):
        await wait_until_async(lambda: False, 0.01, what="Godot")


@on_latest
def test_the_sampler_sees_the_most_connections(postgres: EmbeddedPostgres, database: str):
    with Sampler(postgres.dsn()) as sampler:
        for name in ("a", "a", "b"):
            psycopg.connect(postgres.dsn(database, application_name=name)).close()
        held = [
            psycopg.connect(postgres.dsn(database, application_name=name)) for name in ("a", "b")
        ]
        seen = sampler.samples
        wait_until(lambda: sampler.samples > seen + 1)
        for conn in held:
            conn.close()
    assert sampler.most >= 2
    assert sampler.most_of("b") >= 1
    assert sampler.most_of("sampler") == 0


@on_latest
def test_the_sampler_reports_that_it_went_blind(postgres: EmbeddedPostgres):
    with pytest.raises(psycopg.OperationalError), Sampler(postgres.dsn()):
        postgres.restart()
    with Sampler(postgres.dsn(), tolerant=True) as sampler:
        postgres.restart()
        seen = sampler.samples
        wait_until(lambda: sampler.samples > seen + 1)


def test_databases_are_empty_and_different(postgres: EmbeddedPostgres, databases: Databases):
    names = databases(2)
    assert len({*names, *databases(1)}) == 3
    for name in names:
        assert postgres.execute(
            r"select count(*) from pg_tables where schemaname = 'public'", dbname=name
        ) == [(0,)]


@on_latest
@pytest.mark.parametrize(
    "statement",
    [
        "create table t (n int)",
        "create schema s",
        "create function f() returns int language sql as 'select 1'",
        "select lo_create(0)",
        "alter database {} set work_mem = '1MB'",
        "alter database {} connection limit 3",
        "alter database {} allow_connections false",
        "grant all on database {} to public",
        "drop database {}",
    ],
)
def test_a_database_that_was_changed_is_not_lent_again(
    postgres: EmbeddedPostgres, servers: Servers, statement: str
):
    stock = servers.stock(postgres)
    clean, dirty = stock.take(2)
    with psycopg.connect(postgres.dsn(clean)) as conn:
        about_it = "database" in statement
        postgres.execute(statement.format(dirty), dbname="postgres" if about_it else dirty)
        stock.take_back()
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")

    names = stock.take(2)
    stock.take_back()

    assert clean in names
    assert dirty not in names


@on_latest
def test_the_severer_pauses_severs_and_heals(postgres: EmbeddedPostgres):
    with Severer(postgres.port) as proxy:
        dsn = postgres.dsn(host=HOST, port=proxy.port, sslmode="disable", gssencmode="disable")
        with psycopg.connect(dsn, autocommit=True) as conn:
            assert proxy.connections == 1
            proxy.pause()
            answer = ask_in_thread(conn)
            assert not answer.wait(0.1)
            proxy.heal()
            assert answer.wait(5)

            proxy.sever()
            with pytest.raises(psycopg.OperationalError):
                conn.execute("select 1")
            with pytest.raises(psycopg.OperationalError, match="refused"):
                psycopg.connect(dsn)
        proxy.heal()
        with psycopg.connect(dsn) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        wait_until(lambda: proxy.connections == 0)


def ask_in_thread(conn: psycopg.Connection) -> threading.Event:
    answered = threading.Event()

    def ask() -> None:
        conn.execute("select 1")
        answered.set()

    threading.Thread(target=ask).start()
    return answered
