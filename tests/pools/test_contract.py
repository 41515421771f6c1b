"""What tenantpool uses of psycopg_pool and psycopg that they do not promise.

A release that changes any of it fails here, with the place in tenantpool that has to follow.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pytest
from packaging.requirements import Requirement
from psycopg import AsyncConnection, Connection, pq
from psycopg.conninfo import conninfo_attempts, conninfo_attempts_async, timeout_from_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from tenantpool.blind import closed_pgconn
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.manager._async.pool import AsyncTenantPool
from tenantpool.manager._sync.pool import TenantPool
from tests.support.servers import on_latest

POOLS = pytest.mark.parametrize("pool_class", [ConnectionPool, AsyncConnectionPool])
CONNECTIONS = pytest.mark.parametrize("connection_class", [Connection, AsyncConnection])

LINK = "see tenantpool/pools/_async/link.py"
POOL = "see tenantpool/pools/_async/pool.py"
FACE = "see tenantpool/manager/_async/pool.py"
WATCH = "see tenantpool/pools/watch.py"
ATTENDANT = "see tenantpool/pools/_async/attendant.py"
CONNECT = "see tenantpool/pools/_async/connect.py"
WIPE = "see tenantpool/pools/_async/wipe.py"

STATS = {
    "_POOL_MIN": "pool_min",
    "_POOL_MAX": "pool_max",
    "_POOL_SIZE": "pool_size",
    "_POOL_AVAILABLE": "pool_available",
    "_REQUESTS_WAITING": "requests_waiting",
    "_REQUESTS_NUM": "requests_num",
    "_REQUESTS_QUEUED": "requests_queued",
    "_REQUESTS_WAIT_MS": "requests_wait_ms",
    "_REQUESTS_ERRORS": "requests_errors",
    "_USAGE_MS": "usage_ms",
    "_CONNECTIONS_ERRORS": "connections_errors",
    "_CONNECTIONS_LOST": "connections_lost",
}


def make_pool(pool_class: Any, conninfo: Any, **options: Any) -> Any:
    return pool_class(conninfo, min_size=0, max_size=1, open=False, **options)


async def finished(result: Any) -> Any:
    """What a call gave, whether it was a coroutine or not."""
    return await result if inspect.isawaitable(result) else result


def test_the_installed_versions_are_those_that_are_asked_for():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    asked = {r.name: r for r in map(Requirement, project["dependencies"])}
    for name in ("psycopg", "psycopg-pool"):
        assert version(name) in asked[name].specifier, f"{name} {version(name)} is out of range"
    assert "<3.4" in str(asked["psycopg-pool"].specifier), "its internals are used: one minor only"


@POOLS
def test_the_statistics_have_the_names_that_programs_know(pool_class: Any):
    found = {name: getattr(pool_class, name, None) for name in STATS}
    assert found == STATS, f"psycopg_pool's keys of get_stats have changed, {FACE}"
    assert set(make_pool(pool_class, "")._get_measures()) == {
        "pool_min", "pool_max", "pool_size", "pool_available", "requests_waiting"
    }, f"_get_measures counts something else, {FACE} and {POOL}"  # fmt: skip


def test_get_stats_shows_what_get_measures_says():
    pool = make_pool(ConnectionPool, "")
    pool._get_measures = lambda: {"mine": 1}
    assert pool.get_stats() == {"mine": 1}, f"get_stats is made differently, {FACE}"
    assert pool.pop_stats() == {"mine": 1}, f"pop_stats is made differently, {FACE}"


@POOLS
def test_a_pool_that_is_not_opened_does_nothing(pool_class: Any):
    pool = make_pool(pool_class, "", close_returns=True, kwargs={"autocommit": True})
    assert pool.closed, f"a new pool is open, {FACE}"
    assert pool.kwargs == {"autocommit": True}, f"kwargs are kept differently, {POOL}"
    assert pool.close_returns, f"close_returns is kept differently, {FACE}"
    assert isinstance(pool_class.closed, property), f"closed is overridden as a property, {FACE}"
    assert not pool._workers, f"a pool that is not open has workers, {POOL}"


METHODS = [
    *("connection", "getconn", "putconn", "open", "close", "wait", "resize", "check", "drain"),
    *("get_stats", "pop_stats"),
]


@POOLS
@pytest.mark.parametrize("name", METHODS)
def test_the_face_takes_the_arguments_of_the_pool_it_stands_for(pool_class: Any, name: str):
    face: Any = TenantPool if pool_class is ConnectionPool else AsyncTenantPool
    theirs, ours = (inspect.signature(getattr(c, name)) for c in (pool_class, face))
    assert [*ours.parameters] == [*theirs.parameters], f"{name} takes other arguments, {FACE}"


@POOLS
def test_there_is_nothing_new_for_the_face_to_show(pool_class: Any):
    found = {name for name in dir(pool_class) if not name.startswith("_")}
    inside = {"worker", "reconnect_failed", "run_task", "schedule_task"}
    known = {*METHODS, *inside, "closed", "min_size", "max_size", "check_connection"}
    assert found == known, f"psycopg_pool's pools have changed: {found ^ known}, {FACE}"


@on_latest
@POOLS
async def test_connect_makes_a_connection_and_close_connection_ends_it(
    pool_class: Any, postgres: EmbeddedPostgres
):
    asked: list[str] = []

    def conninfo() -> str:
        asked.append(postgres.dsn())
        return asked[-1]

    if pool_class is AsyncConnectionPool:

        async def resolve() -> str:
            return conninfo()

        pool = make_pool(pool_class, resolve)
    else:
        pool = make_pool(pool_class, conninfo)
    conn = await finished(pool._connect())

    assert len(asked) == 1, f"conninfo is not asked for at each connect, {POOL}"
    assert conn._pool is pool, f"_connect does not set _pool, {POOL}"
    assert conn._expire_at > conn._created_at > 0, f"_connect sets other times, {LINK}"
    assert not conn.closed
    await finished(pool_class.check_connection(conn))
    assert conn.info.transaction_status.name == "IDLE", f"check_connection leaves traces, {LINK}"

    pool._check_pool_putconn(conn)
    with pytest.raises(ValueError, match="it comes from pool"):
        make_pool(pool_class, "")._check_pool_putconn(conn)

    await finished(pool._close_connection(conn))
    assert conn.closed, f"_close_connection does not close, {LINK}"
    assert conn._pool is None, f"_close_connection leaves _pool, {LINK}"


@on_latest
@POOLS
async def test_check_connection_raises_for_a_dead_one(pool_class: Any, postgres: EmbeddedPostgres):
    pool = make_pool(pool_class, postgres.dsn())
    conn = await finished(pool._connect())
    postgres.execute("select pg_terminate_backend(%s, 5000)", [conn.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        await finished(pool_class.check_connection(conn))
    assert conn.closed, f"a connection found dead still says that it is not closed, {LINK}"


@on_latest
@CONNECTIONS
async def test_a_second_object_takes_over_a_session(
    connection_class: Any, postgres: EmbeddedPostgres
):
    old = await finished(connection_class.connect(postgres.dsn()))
    new = type(old)(old.pgconn)
    assert new._adapters is None, f"adapters are made differently, {POOL} (dress)"
    mapping = type(new.adapters)(old.adapters)
    new._adapters = mapping
    assert new.adapters is mapping, f"adapters are kept differently, {POOL} (dress)"
    new._pool = object()
    old.pgconn = closed_pgconn(old.pgconn)

    assert old.closed, f"a PGconn made with __new__ is not closed, {LINK} and blind.py"
    del old  # must not warn, nor touch the session
    cursor = await finished(new.execute("select 1"))
    assert await finished(cursor.fetchone()) == (1,)
    new._pool = None
    await finished(new.close())


@on_latest
@CONNECTIONS
async def test_libpq_can_be_spoken_to_directly(connection_class: Any, postgres: EmbeddedPostgres):
    conn = await finished(connection_class.connect(postgres.dsn()))
    pgconn = conn.pgconn
    assert pgconn.nonblocking, f"a send may block, and consume_input sends nothing, {WIPE}"
    pgconn.send_query(b"select 1; notify mine")
    results = []
    while (result := pgconn.get_result()) is not None:
        results.append(result)
    assert [result.get_value(0, 0) for result in results] == [b"1", None], f"other results, {WIPE}"
    assert not pgconn.is_busy()
    assert pgconn.notifies() is None
    assert pgconn.transaction_status == pq.TransactionStatus.IDLE
    assert not conn._prepared._names, f"psycopg has seen it, {WIPE}"
    options = {option.keyword for option in pgconn.info}
    assert {b"host", b"gssencmode"} <= options, f"libpq's options are called otherwise, {LINK}"
    await finished(conn.close())


@on_latest
def test_the_error_of_a_result_is_that_of_its_sqlstate(postgres: EmbeddedPostgres):
    with psycopg.connect(postgres.dsn()) as conn:
        result = conn.pgconn.exec_(b"select 1 / 0")
        error = psycopg.errors.error_from_result(result)
    assert isinstance(error, psycopg.errors.DivisionByZero), (
        f"errors are made otherwise, {ATTENDANT}"
    )


def test_a_blind_pgconn_does_nothing():
    blind = closed_pgconn(pq.PGconn.connect(b"host=/nowhere"))
    assert blind.status == pq.ConnStatus.BAD
    with pytest.raises(psycopg.OperationalError):
        blind.exec_(b"select 1")
    blind.finish()


@on_latest
@CONNECTIONS
async def test_a_connection_of_a_pool_survives_its_block(
    connection_class: Any, postgres: EmbeddedPostgres
):
    conn = await finished(connection_class.connect(postgres.dsn()))
    conn._pool = make_pool(ConnectionPool, "")
    if connection_class is AsyncConnection:
        async with conn:
            pass
    else:
        with conn:
            pass
    assert not conn.closed, f"a block closes a pool's connection, {FACE}"
    conn._pool = None
    await finished(conn.close())


@on_latest
@CONNECTIONS
async def test_close_returns_goes_to_putconn(connection_class: Any, postgres: EmbeddedPostgres):
    returned: list[Any] = []

    class Pool:
        close_returns = True

        def putconn(self, conn: Any) -> Any:
            returned.append(conn)
            return None if connection_class is Connection else done()

    async def done() -> None:
        pass

    conn = await finished(connection_class.connect(postgres.dsn()))
    conn._pool = Pool()
    await finished(conn.close())
    assert returned == [conn], f"close() does not ask conn._pool for putconn, {FACE}"
    conn._pool = None
    await finished(conn.close())
    assert conn.closed


@on_latest
@CONNECTIONS
async def test_a_connection_can_be_made_with_libpq_directly(
    connection_class: Any, postgres: EmbeddedPostgres
):
    pgconn = pq.PGconn.connect_start(postgres.dsn().encode())
    assert pgconn.socket > 0, f"the socket is not shown before the server hears of it, {CONNECT}"
    while pgconn.status != pq.ConnStatus.OK:
        status = pgconn.connect_poll()
        assert status != pq.PollingStatus.FAILED, f"libpq connects in other steps, {CONNECT}"
    assert status == pq.PollingStatus.OK, f"libpq connects in other steps, {CONNECT}"
    assert not pgconn.nonblocking
    pgconn.nonblocking = 1
    conn = connection_class(pgconn)
    pool = make_pool(ConnectionPool, "")
    pool._set_connection_expiry_date(conn)
    assert conn._expire_at > conn._created_at > 0, f"other times are set, {POOL}"
    await finished(conn.close())


@pytest.mark.parametrize(
    "attempts", [conninfo_attempts, conninfo_attempts_async], ids=["sync", "async"]
)
async def test_psycopg_says_which_addresses_it_would_try(attempts: Any):
    params: Any = {"host": "/run/postgresql", "port": "5432", "connect_timeout": "5"}
    assert await finished(attempts(params)) == [params], f"a socket is looked up, {CONNECT}"
    assert len(await finished(attempts(params | {"host": "/run,/tmp"}))) == 2, CONNECT
    assert timeout_from_conninfo(params) == 5, f"the timeout is found otherwise, {POOL}"


@on_latest
@CONNECTIONS
def test_a_connect_is_a_generator_that_shows_its_socket(
    connection_class: Any, postgres: EmbeddedPostgres
):
    connect = connection_class._connect_gen(postgres.dsn())
    descriptor, wait_for = next(connect)
    assert isinstance(descriptor, int), f"_connect_gen does not yield its socket first, {WATCH}"
    assert descriptor > 0
    assert wait_for, f"_connect_gen does not yield (socket, what to wait for), {WATCH}"
    connect.close()


def test_the_words_of_a_closed_connection():
    """Some of libpq's words are matched; they are stable, and not translated by the wheel."""
    with pytest.raises(psycopg.OperationalError) as failure:
        psycopg.connect("host=127.0.0.1 port=1 connect_timeout=2")
    assert re.search(r"port 1 failed: ", str(failure.value)), "see tenantpool/pools/failures.py"
