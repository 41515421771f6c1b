"""A session through the gateway: its end, its speed limits, and what the service may do to it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import psycopg
import pytest

from tenantpool.gateway.protocol import message
from tests.gateway.support import House, in_both, query
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

pytestmark = [on_latest, in_both]

TERMINATE = message(b"X", b"")


async def test_terminate_stays_away_from_the_backend(house: House):
    client = await house.session()
    client.write(query("select 1") + query("select 2"))
    for _ in range(2):
        while (await client.message())[0] != b"Z":
            pass
    client.write(TERMINATE)
    assert await client.rest() == b""
    await client.close()
    line = await house.last_ended()
    assert line.clean
    assert await line.works()


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize(
    ("sent", "clean"),
    [
        (b"", True),
        (query("select 1"), True),
        (query("begin"), False),
        (query("select pg_sleep(60)"), False),
        (query("select 1")[:-3], False),
        (message(b"P", b"\0select 1\0\0\0"), False),
        (query("copy (select 1) to stdout"), True),
    ],
)
async def test_how_a_session_was_left(house: House, sent: bytes, clean: bool, polite: bool):
    client = await house.session()
    client.write(sent)
    if sent.startswith(b"Q") and sent.endswith(b"\0") and b"sleep" not in sent:
        while (await client.message())[0] != b"Z":
            pass
    if polite and len(sent) != len(query("select 1")) - 3:
        client.write(TERMINATE)
    await client.close()
    assert (await house.last_ended()).clean == clean
    assert len(house.exchange.ended) == 1


async def test_an_invalid_message_ends_the_connection_with_an_error(house: House):
    async with await house.connect() as other:
        client = await house.session()
        client.write(b"\x01\0\0\0\4")
        assert (await client.error())["C"] == "08P01"
        assert not (await house.last_ended()).clean
        await other.execute("select 1")


async def test_when_the_backend_goes_the_client_hears_why(house: House):
    conn = await house.connect()
    line = house.line
    async with await house.connect() as other:
        await other.execute("select pg_terminate_backend(%s)", [line.conn.info.backend_pid])
        with pytest.raises(psycopg.errors.AdminShutdown):
            await conn.execute("select 1")
    await conn.close()
    await wait_until_async(lambda: line.clean is False)


async def test_cut(house: House):
    conn = await house.connect()
    line = house.line
    line.plug.cut("the lease has expired")
    with pytest.raises(psycopg.errors.AdminShutdown, match="the lease has expired"):
        await conn.execute("select 1")
    await conn.close()
    await wait_until_async(lambda: repr(house.gateway).find(" 0 clients") >= 0)
    assert not house.exchange.ended


async def test_cut_in_the_middle_of_a_row(house: House):
    client = await house.session()
    client.write(query("select repeat('x', 100000000)"))
    await client.message()
    await client.reader.readexactly(100)
    house.line.plug.cut("the lease has expired")
    said = b""
    with suppress(ConnectionResetError):
        said = await client.rest()
    assert b"expired" not in said
    await client.close()


async def test_relinquish(house: House):
    client = await house.session()
    line = house.line
    assert line.plug.relinquish()
    assert await client.rest() == b""
    await client.close()
    assert not line.plug.relinquish()
    assert not house.exchange.ended
    row = await (await line.conn.execute("select 1")).fetchone()
    assert row == (1,)


async def test_relinquish_is_too_late_once_the_client_has_spoken(house: House):
    client = await house.session()
    line = house.line
    client.write(query("select 1"))
    while (await client.message())[0] != b"Z":
        pass
    assert not line.plug.relinquish()
    client.write(TERMINATE)
    await client.rest()
    await client.close()
    assert (await house.last_ended()).clean


def resident() -> int:
    """Bytes of memory that this process has now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


async def test_a_slow_reader_costs_no_memory(house: House):
    client = await house.session()
    before = resident()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    client.write(query("select repeat('x', 100000) from generate_series(1, 1000)"))
    pid = house.line.conn.info.backend_pid
    async with await house.connect() as other:
        wait = "select wait_event from pg_stat_activity where pid = %s"

        async def stuck() -> bool:
            return await (await other.execute(wait, [pid])).fetchone() == ("ClientWrite",)

        while not await stuck():
            await asyncio.sleep(0.01)
    assert resident() - before < 16_000_000
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]
    rows = 0
    while (kind := (await client.message())[0]) != b"Z":
        rows += kind == b"D"
    assert rows == 1000
    await client.close()


async def test_a_slow_backend_costs_no_memory(house: House):
    client = await house.session()
    before = resident()
    client.write(query("select pg_sleep(0.5)"))
    piece = query("-- " + "x" * 65_000)
    sent = 0
    while sent < 100_000_000:
        client.write(piece)
        sent += len(piece)
        try:
            await asyncio.wait_for(client.writer.drain(), 0.1)
        except TimeoutError:
            break
    assert sent < 20_000_000
    assert resident() - before < 32_000_000
    count = sent // len(piece) + 1
    while count:
        count -= (await client.message())[0] == b"Z"
    client.write(TERMINATE)
    await client.rest()
    await client.close()
    assert (await house.last_ended()).clean


async def test_cancel_reaches_its_statement_and_no_other(house: House):
    async with await house.connect() as conn, await house.connect() as other:
        sleeps = [asyncio.create_task(c.execute("select pg_sleep(60)")) for c in (conn, other)]
        await wait_until_async(lambda: len(house.exchange.lines) == 2)
        async with await house.connect() as third:
            active = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
            while await (await third.execute(active)).fetchone() != (2,):
                await asyncio.sleep(0.01)
            await conn.cancel_safe()
            with pytest.raises(psycopg.errors.QueryCanceled):
                await sleeps[0]
            assert not sleeps[1].done()
            await other.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await sleeps[1]
        await conn.execute("select 1")


async def test_a_cancel_with_a_wrong_secret_hits_nobody(house: House):
    async with await house.connect() as conn:
        pid, secret = house.line.cancel_key
        sleep = asyncio.create_task(conn.execute("select pg_sleep(0.3)"))
        body = (80877102).to_bytes(4, "big") + pid.to_bytes(4, "big")
        client = await house.raw()
        client.write((16).to_bytes(4, "big") + body + (secret ^ 1).to_bytes(4, "big"))
        assert await client.rest() == b""  # no answer, as PostgreSQL does it
        await client.close()
        await sleep
        assert house.exchange.cancels == 1


async def test_a_cancel_is_carried_out_though_its_client_does_not_wait(house: House):
    async with await house.connect() as conn:
        pid, secret = house.line.cancel_key
        sleep = asyncio.create_task(conn.execute("select pg_sleep(60)"))
        async with await house.connect() as third:
            active = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
            while await (await third.execute(active)).fetchone() != (1,):
                await asyncio.sleep(0.01)
        body = (80877102).to_bytes(4, "big") + pid.to_bytes(4, "big") + secret.to_bytes(4, "big")
        with socket.create_connection(("127.0.0.1", house.port)) as client:
            client.sendall((16).to_bytes(4, "big") + body)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await sleep


async def test_closing_cuts_everybody_and_leaves_nothing(house: House):
    conns = [await house.connect(unix=unix) for unix in (True, False)]
    idle = await house.raw()
    path = house.folder / f".s.PGSQL.{house.port}"
    assert path.exists()
    await house.gateway.close()
    assert not path.exists()
    assert not house.exchange.lines
    for conn in conns:
        with pytest.raises(psycopg.OperationalError):
            await conn.execute("select 1")
        await conn.close()
    await idle.close()
    await house.gateway.close()
