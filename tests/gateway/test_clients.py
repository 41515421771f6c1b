"""Clients that nobody here wrote, doing all that clients do."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess

import asyncpg
import psycopg
import pytest
from psycopg.rows import scalar_row
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.gateway import programs
from tests.gateway.support import House, in_both
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

pytestmark = [
    on_latest,
    in_both,
    pytest.mark.parametrize("unix", [True, False], ids=["unix", "tcp"]),
]

LARGE = "select repeat('x', 1000) from generate_series(1, 10000)"


def environment(house: House, unix: bool) -> dict[str, str]:
    return {
        "PGHOST": str(house.folder) if unix else "127.0.0.1",
        "PGPORT": str(house.port),
        "PGUSER": "acme",
        "PGPASSWORD": "ticket",
        "PGDATABASE": "any",
        "PSQLRC": "/dev/null",
    }


async def all_were_left_clean(house: House, count: int) -> None:
    await wait_until_async(lambda: not house.exchange.lines, what="the end of all lines")
    assert [line.clean for line in house.exchange.ended] == [True] * count
    for line in house.exchange.ended:
        assert await line.works()


PSQL = r"""
\set ON_ERROR_STOP off
select 'one', 1;
prepare p as select $1::int + 1;
execute p(41);
select 1/0;
begin;
create temp table t (x int);
commit;
copy t from stdin;
1
2
\.
copy t to stdout;
listen news;
notify news, 'hello';
select count(*) from t;
select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 10000);
"""


async def test_psql(house: House, unix: bool):
    said = await programs.run([programs.find("psql"), "-qAt"], environment(house, unix), PSQL)
    lines = said.splitlines()
    assert lines[:3] == ["one|1", "42", "ERROR:  division by zero"]
    assert lines[3:5] == ["1", "2"]
    assert 'Asynchronous notification "news" with payload "hello"' in lines[5]
    assert lines[6:] == ["2", "10000000"]
    await all_were_left_clean(house, 1)


async def test_psql_interrupted(house: House, unix: bool):
    psql = await asyncio.to_thread(
        subprocess.Popen,
        [programs.find("psql"), "-qAt", "-c", "select pg_sleep(60)"],
        env={**os.environ, **environment(house, unix)},
        stderr=subprocess.PIPE,
        text=True,
    )
    async with await house.connect() as other:
        asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        while await (await other.execute(asleep)).fetchone() != (1,):
            await asyncio.sleep(0.01)
        psql.send_signal(signal.SIGINT)
        _, said = await asyncio.to_thread(psql.communicate)
    assert "canceling statement due to user request" in said
    await all_were_left_clean(house, 2)


async def test_pgbench(house: House, unix: bool):
    pgbench = programs.find("pgbench")
    await programs.run([pgbench, "-i", "-q", "-s", "1"], environment(house, unix))
    for mode in ("simple", "extended", "prepared"):
        said = await programs.run(
            [pgbench, "-n", "-c", "4", "-t", "25", "-M", mode], environment(house, unix)
        )
        assert "number of transactions actually processed: 100/100" in said
    await wait_until_async(lambda: not house.exchange.lines)
    assert all(line.clean for line in house.exchange.ended)


def use(conn: psycopg.Connection[object]) -> None:
    with conn.cursor(row_factory=scalar_row) as cur:
        assert cur.execute("select %s::int + 1", [41]).fetchone() == 42
        for number in range(7):  # the sixth is prepared
            assert cur.execute("select %s::int", [number]).fetchone() == number
        with pytest.raises(psycopg.errors.DivisionByZero):
            cur.execute("select 1/0")
        with conn.transaction():
            cur.execute("create temp table t (x int)")
        with cur.copy("copy t from stdin") as copy:
            for number in range(1000):
                copy.write_row([number])
        with cur.copy("copy (select x from t where x < %s) to stdout", [10]) as copy:
            assert len(list(copy.rows())) == 10
        cur.execute("listen news")
        cur.execute("notify news, 'hello'")
        assert [notify.payload for notify in conn.notifies(timeout=10, stop_after=1)] == ["hello"]
        assert len(cur.execute(LARGE.encode()).fetchall()) == 10_000
        with conn.pipeline():
            several = [conn.execute("select %s::int", [number]) for number in range(5)]
        assert [one.fetchone() for one in several] == [(number,) for number in range(5)]
        cur.execute("set statement_timeout = 0")


async def test_psycopg(house: House, unix: bool):
    def work() -> None:
        with psycopg.connect(house.dsn(unix=unix), autocommit=True) as conn:
            use(conn)

    await asyncio.to_thread(work)
    await all_were_left_clean(house, 1)


async def test_psycopg_async(house: House, unix: bool):
    async with await house.connect(unix=unix) as conn:
        cur = conn.cursor(row_factory=scalar_row)
        for number in range(7):
            await cur.execute("select %s::int", [number])
            assert await cur.fetchone() == number
        with pytest.raises(psycopg.errors.DivisionByZero):
            await cur.execute("select 1/0")
        async with conn.transaction():
            await cur.execute("create temp table t (x int)")
        async with cur.copy("copy t from stdin") as copy:
            for number in range(1000):
                await copy.write_row([number])
        async with cur.copy("copy t to stdout") as copy:
            assert len([row async for row in copy.rows()]) == 1000
        await cur.execute("listen news")
        await cur.execute("notify news, 'hello'")
        heard = [notify.payload async for notify in conn.notifies(timeout=10, stop_after=1)]
        assert heard == ["hello"]
        await cur.execute(LARGE.encode())
        assert len(await cur.fetchall()) == 10_000
        async with conn.pipeline():
            several = [await conn.execute("select %s::int", [n]) for n in range(5)]
        assert [await one.fetchone() for one in several] == [(n,) for n in range(5)]
    await all_were_left_clean(house, 1)


async def test_asyncpg(house: House, unix: bool):
    place = environment(house, unix)
    conn = await asyncpg.connect(
        host=place["PGHOST"], port=house.port, user="acme", password="ticket", database="any"
    )
    assert await conn.fetchval("select $1::int + 1", 41) == 42
    statement = await conn.prepare("select $1::int")
    assert [await statement.fetchval(n) for n in range(3)] == [0, 1, 2]
    with pytest.raises(asyncpg.DivisionByZeroError):
        await conn.fetchval("select 1/0")
    async with conn.transaction():
        await conn.execute("create temp table t (x int)")
        async for _ in conn.cursor("select generate_series(1, 100)", prefetch=10):
            pass
    records = [(n,) for n in range(1000)]
    assert await conn.copy_records_to_table("t", records=records) == "COPY 1000"
    copied = bytearray()

    async def collect(data: bytes) -> None:
        copied.extend(data)

    assert await conn.copy_from_table("t", output=collect) == "COPY 1000"
    assert copied.count(b"\n") == 1000
    heard: asyncio.Queue[str] = asyncio.Queue()
    await conn.add_listener("news", lambda *args: heard.put_nowait(args[3]))
    await conn.execute("notify news, 'hello'")
    assert await asyncio.wait_for(heard.get(), 10) == "hello"
    assert len(await conn.fetch(LARGE)) == 10_000
    with pytest.raises(TimeoutError):
        await conn.fetchval("select pg_sleep(60)", timeout=0.1)  # it sends a cancel
    assert await conn.fetchval("select 3") == 3
    await conn.close()
    await all_were_left_clean(house, 1)


async def test_sqlalchemy(house: House, unix: bool):
    def work() -> None:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=lambda: psycopg.connect(house.dsn(unix=unix)),
            poolclass=NullPool,
        )
        with engine.begin() as conn:
            conn.execute(text("create table made (x int)"))
            conn.execute(text("insert into made values (:x)"), [{"x": 1}, {"x": 2}])
            assert conn.execute(text("select sum(x) from made")).scalar() == 3
        engine.dispose()

    await asyncio.to_thread(work)
    place = f"host={house.folder}" if unix else "host=127.0.0.1"
    engine = create_async_engine(
        f"postgresql+asyncpg://acme:ticket@/any?{place}&port={house.port}", poolclass=NullPool
    )
    async with engine.begin() as conn:
        assert (await conn.execute(text("select sum(x) from made"))).scalar() == 3
        await conn.execute(text("drop table made"))
    await engine.dispose()
    await wait_until_async(lambda: not house.exchange.lines)
    assert all(line.clean for line in house.exchange.ended)


async def test_node_postgres(house: House, unix: bool):
    modules = await asyncio.to_thread(programs.node_modules)
    said = await programs.run(
        ["node", str(programs.node_script())],
        environment(house, unix) | {"NODE_PATH": str(modules)},
    )
    assert said.endswith("done\n")
    await all_were_left_clean(house, 1)
