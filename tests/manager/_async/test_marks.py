"""A manager with a mark: what a crashed one has left is ended before anything is lent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import psycopg
import pytest

from tenantpool import AsyncManager, ConfigError, Refused
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, wait_until
from tests.manager.support import make_settings, shared
from tests.pools.frames import query
from tests.support.servers import on_latest
from tests.support.severer import HOST

pytestmark = on_latest

MARK = "tenantpool/test"

CRASHING = """
import sys, time
from tenantpool import Manager, Settings
dsn, dbname, mark = sys.argv[1:]
settings = Settings(
    databases={"main": {"conninfo": dsn, "capacity": 4}}, tenants={"a": {"dbname": dbname}}
)
manager = Manager(settings, mark=mark)
manager.open()
for _ in range(3):
    manager.acquire("a").pgconn.send_query(b"select pg_sleep(600)")
print("ready", flush=True)
time.sleep(600)
"""


def names(postgres: EmbeddedPostgres) -> list[str]:
    """The ``application_name`` of every backend that begins with the mark."""
    sql = (
        "select application_name from pg_stat_activity"
        " where starts_with(application_name, %s) and backend_type = 'client backend' order by 1"
    )
    return [name for (name,) in postgres.execute(sql, [MARK])]


def capacity(manager: AsyncManager) -> int:
    return manager.stats().databases["main"].capacity


@pytest.fixture
def leave(postgres: EmbeddedPostgres) -> Iterator[Callable[[str], psycopg.Connection]]:
    """``leave(name)`` makes a connection of that ``application_name``."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(
            closing(psycopg.connect(postgres.dsn(application_name=name)))
        )


@pytest.fixture
def limited(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A role that may not end what the superuser has begun."""
    postgres.execute("create role limited login")
    yield "limited"
    postgres.execute("drop role limited")


async def test_every_connection_carries_the_mark_whatever_becomes_of_its_session(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=2)
    manager = await open_manager(settings, mark=MARK)
    assert capacity(manager) == 1
    for tenant in ("a", "b"):
        async with manager.connection(tenant) as conn:
            assert MARK in names(postgres)
            await conn.execute("set application_name = 'mine'")


async def test_the_attendant_goes_when_there_is_nothing_to_do(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tenantpool.pools._async.attendant._IDLE", 0.1)
    settings = make_settings(postgres, {"a": {"dbname": database}})
    manager = await open_manager(settings, mark=MARK)
    await manager.execute("a", "select 1")
    await wait_until(lambda: names(postgres) == [MARK])


async def test_what_a_predecessor_left_is_ended_first(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    leave: Callable[[str], psycopg.Connection],
):
    ours = [leave(MARK), leave(f"{MARK} attendant"), leave(f"{MARK} 0123456789")]
    others = [leave(f"{MARK}er x"), leave("tenantpool"), leave(f"{MARK}_%")]
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=3)

    manager = await open_manager(settings, mark=MARK)

    assert capacity(manager) == 2
    for conn in ours:
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    for conn in others:
        conn.execute("select 1")


async def test_the_limit_holds_after_a_crash(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """Its backends run on, as they do not look whether anybody waits for their answer."""
    command = [sys.executable, "-c", CRASHING, postgres.dsn(), database, MARK]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert names(postgres).count(MARK) == 3
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=4)

    manager = await open_manager(settings, mark=MARK)
    held = [await manager.acquire("a") for _ in range(3)]

    assert names(postgres).count(MARK) == 3
    for conn in held:
        await manager.release(conn)


async def test_what_cannot_be_ended_counts_until_it_is_gone(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    leave: Callable[[str], psycopg.Connection],
    limited: str,
):
    left = leave(MARK)
    settings = make_settings(
        postgres, {"a": {"dbname": database}}, capacity=4, conninfo=postgres.dsn(user=limited)
    )
    async with AsyncManager(settings, mark=MARK) as manager:
        assert capacity(manager) == 2
        left.close()
        await wait_until(lambda: capacity(manager) == 3)


async def test_its_own_connections_are_not_leftovers_whenever_it_looks_again(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """A reload asks for an ``auto`` capacity anew."""
    tenants, auto = {"a": {"dbname": database}}, {"capacity": "auto"}
    manager = await open_manager(make_settings(postgres, tenants, headroom=90, **auto), mark=MARK)
    before = capacity(manager)
    async with manager.connection("a") as conn:
        await manager.apply(make_settings(postgres, tenants, headroom=91, **auto))
        await wait_until(lambda: capacity(manager) == before - 1)
        await conn.execute("select 1")


async def test_its_own_connections_stay_while_leftovers_are_waited_for(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    leave: Callable[[str], psycopg.Connection],
    limited: str,
):
    leave(MARK)
    settings = make_settings(
        postgres, {"a": {"dbname": database}}, capacity=4, conninfo=postgres.dsn(user=limited)
    )
    manager = await open_manager(settings, mark=MARK)
    async with manager.connection("a") as conn:
        shell = manager.leases()[0].shell
        sweeps = shell._sweeps + 5
        await wait_until(lambda: shell._sweeps > sweeps)
        await conn.execute("select 1")
    assert capacity(manager) == 2


async def test_nobody_connects_before_the_server_could_be_asked(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    dsn = postgres.dsn(host=HOST, port=1)
    settings = make_settings(postgres, {"a": {"dbname": database}}, conninfo=dsn)
    manager = await open_manager(settings, mark=MARK)
    with pytest.raises(Refused):
        await manager.acquire("a", timeout=0.2)
    assert capacity(manager) == 0


async def test_the_capacity_can_be_found_out_with_a_mark_too(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    settings = make_settings(postgres, {}, capacity="auto", headroom=1000)
    manager = await open_manager(settings, mark=MARK)
    assert capacity(manager) == 1


async def test_a_backend_that_cannot_be_cancelled_is_terminated(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """Each cancel ends one statement, and there are more than will ever be cancelled."""
    settings = make_settings(postgres, {"a": {"dbname": database}}, close_timeout=0.3)
    manager = await open_manager(settings, mark=MARK)
    lease = manager.connection("a")
    async with lease:
        assert lease.link is not None
        lease.link.socket.send(query("select pg_sleep(600)") * 100)
        lease.wipe = True
    await wait_until(lambda: manager.stats().databases["main"].used == 0)


@pytest.mark.parametrize("mark", ["", "two words", "ünïcode", "x" * 42])
def test_a_mark_must_fit_into_an_application_name(mark: str, postgres: EmbeddedPostgres):
    with pytest.raises(ValueError, match="can't be a mark"):
        AsyncManager(make_settings(postgres, {}), mark=mark)


def test_there_must_be_room_for_the_attendant(postgres: EmbeddedPostgres):
    with pytest.raises(ConfigError, match=r"databases\.main\.capacity: is taken up"):
        AsyncManager(make_settings(postgres, {}, capacity=1), mark=MARK)
    settings = make_settings(
        postgres, {"a": {"dbname": "postgres"}}, tier={"guarantee": 4}, capacity=4
    )
    with pytest.raises(ConfigError, match="guarantee"):
        AsyncManager(settings, mark=MARK)
