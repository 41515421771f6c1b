"""The start-up, with clients that do it right and with those that don't."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantpool import errors
from tenantpool.gateway.exchange import WrongDatabase
from tenantpool.gateway.listener import Gateway
from tenantpool.gateway.protocol import message
from tests.gateway.support import House, fields, packet, startup
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

SSL_REQUEST = packet((80877103).to_bytes(4, "big"))
GSSENC_REQUEST = packet((80877104).to_bytes(4, "big"))

pytestmark = on_latest


@pytest.mark.parametrize("unix", [True, False])
async def test_the_right_password_connects(house: House, unix: bool):
    async with await house.connect(unix=unix) as conn:
        row = await (await conn.execute("select 1")).fetchone()
        assert row == (1,)
        assert house.exchange.lines[0].cancel_key[0] == conn.info.backend_pid
    assert (await house.last_ended()).clean


@pytest.mark.parametrize("unix", [True, False])
@pytest.mark.parametrize("wrong", [{"password": "x"}, {"user": "nobody"}, {"user": "acme "}])
async def test_a_wrong_password_and_an_unknown_user_look_the_same(
    house: House, unix: bool, wrong: dict[str, str]
):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await house.connect(unix=unix, **wrong)
    assert not house.exchange.lines


async def test_a_ticket_that_ends_during_the_startup_is_of_no_use(house: House):
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}))
    await client.message()
    house.exchange.users.clear()
    client.write(message(b"p", b"ticket\0"))
    assert (await client.error())["C"] == "28P01"


@pytest.mark.parametrize(("said", "wanted"), [("other", "other"), ("", "acme")])
async def test_the_database_reaches_the_exchange_or_else_the_user(
    house: House, said: str, wanted: str
):
    async with await house.connect(dbname=said):
        assert house.exchange.database == wanted


async def test_a_wrong_database_is_told_as_postgresql_does(house: House):
    house.exchange.refusal = WrongDatabase("other", "acme", "acme")
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme", "database": "other"}))
    await client.message()
    client.write(message(b"p", b"ticket\0"))
    await client.message()
    assert await client.error() == {
        "S": "FATAL",
        "V": "FATAL",
        "C": "3D000",
        "M": 'this lease does not lead to database "other"',
        "H": 'Leave the database out, or use "acme".',
    }


async def test_settings_reach_the_exchange(house: House):
    options = "-c work_mem=1MB --search-path=a,\\ b"
    async with await house.connect(options=options, application_name="me", client_encoding="utf8"):
        pass
    assert house.exchange.options == {
        "work_mem": "1MB",
        "search_path": "a, b",
        "application_name": "me",
        "client_encoding": "utf8",
    }


async def test_a_setting_that_the_server_does_not_take(house: House):
    with pytest.raises(psycopg.OperationalError, match='invalid value for parameter "work_mem"'):
        await house.connect(options="-c work_mem=much")


async def test_replication_is_refused(house: House):
    with pytest.raises(psycopg.OperationalError, match="replication is not possible"):
        await house.connect(replication="database")


async def test_encryption_is_declined_without_a_certificate(house: House):
    for unix in (True, False):
        client = await house.raw(unix=unix)
        client.write(GSSENC_REQUEST)
        assert await client.reader.readexactly(1) == b"N"
        client.write(SSL_REQUEST)
        assert await client.reader.readexactly(1) == b"N"
        client.write(SSL_REQUEST)
        assert (await client.error())["C"] == "08P01"


async def test_a_newer_protocol_is_negotiated_down(house: House):
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme", "_pq_.trick": "1"}, minor=2))
    assert await client.message() == (b"v", b"\0\3\0\0" + b"\0\0\0\1" + b"_pq_.trick\0")
    assert (await client.message())[0] == b"R"
    await client.close()


@pytest.mark.parametrize(
    ("sent", "sqlstate"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "08P01"),
        (b"\0\0\0\4", "08P01"),
        (b"\xff\xff\xff\xff", "08P01"),
        (packet(b"\0\2\0\0" + b"user\0u\0\0"), "0A000"),
        (packet(b"\0\3\0\0" + b"user\0u\0"), "08P01"),
        (startup({}), "28000"),
        (startup({"user": "acme", "options": "-x"}), "42601"),
        (SSL_REQUEST + b"x", "08P01"),
        (startup({"user": "acme"}) + message(b"Q", b"x\0"), None),
    ],
)
async def test_a_start_that_is_none(house: House, sent: bytes, sqlstate: str | None):
    client = await house.raw()
    client.write(sent)
    if sqlstate is None:  # what is asked for comes first
        assert (await client.message())[0] == b"R"
        sqlstate = "08P01"
    assert (await client.error())["C"] == sqlstate


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5))
async def test_garbage_ends_its_connection_only(house: House, sent: list[bytes]):
    async with await house.connect(unix=True) as conn:
        client = await house.raw()
        for piece in sent:
            client.write(piece)
        client.writer.write_eof()
        said = await client.rest()
        await client.close()
        if said not in (b"", b"N"):
            answer = said.removeprefix(b"N")
            assert answer[:1] == b"E"
            assert fields(answer[5:])["S"] == "FATAL"
        await conn.execute("select 1")
    await wait_until_async(lambda: not house.exchange.lines)


async def test_a_password_that_is_none(house: House):
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}))
    await client.message()
    client.write(message(b"p", b"tick\0et\0"))
    assert (await client.error())["C"] == "08P01"


async def test_an_unknown_sasl_mechanism(house: House):
    client = await house.raw()
    client.write(startup({"user": "acme"}))
    assert await client.message() == (b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")
    client.write(message(b"p", b"SCRAM-SHA-256-PLUS\0\0\0\0\0"))
    assert (await client.error())["C"] == "08P01"


async def test_half_a_startup_packet_is_not_waited_for(house: House):
    strict = Gateway(house.exchange, startup_timeout=0.1)
    port = await strict.listen_tcp("127.0.0.1", 0)
    house.port = port
    try:
        for sent in (b"", startup({"user": "acme"})[:-3], startup({"user": "acme"})):
            client = await house.raw()
            client.write(sent)
            if sent.endswith(b"\0\0"):
                await client.message()
            assert (await client.error())["C"] == "57014"
    finally:
        await strict.close()


async def test_times_that_change_hold_for_those_who_come_next(house: House):
    gateway = Gateway(house.exchange, startup_timeout=60)
    house.port = await gateway.listen_tcp("127.0.0.1", 0)
    try:
        gateway.adopt(startup_timeout=0.1, max_startups=1000)
        assert (await (await house.raw()).error())["C"] == "57014"
        gateway.adopt(startup_timeout=60, max_startups=0)
        assert (await (await house.raw()).error())["C"] == "53300"
    finally:
        await gateway.close()


REFUSALS = {
    errors.UnknownTenant: "3D000",
    errors.Draining: "57P03",
    errors.TenantSuspended: "28000",
    errors.BreakerOpen: "57P03",
    errors.ConnectFailed: "57P03",
    errors.ConnectTimeout: "57P03",
    errors.RateLimited: "53300",
    errors.QueueFull: "53300",
    errors.TenantLimit: "53300",
    errors.DatabaseLimit: "53300",
    errors.IdentityLimit: "53300",
}


@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_is_explained(house: House, kind: type[errors.Refused]):
    house.exchange.refusal = kind("acme", "cap of 3", retry_after=0.25, holders={"acme": 3})
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}))
    await client.message()
    client.write(message(b"p", b"ticket\0"))
    assert await client.message() == (b"R", b"\0\0\0\0")
    said = await client.error()
    assert said["S"] == "FATAL"
    assert said["C"] == REFUSALS[kind]
    assert said["M"] == f"acme: {kind.reason}: cap of 3"
    assert "held by acme: 3" in said["D"]
    assert said["H"] == "retry after 0.250 s"


@pytest.mark.parametrize(
    ("error", "sqlstate"),
    [
        (errors.LeaseEnded("over"), "28P01"),
        (errors.NotAllowed("no"), "28000"),
        (errors.ManagerClosed("closed"), "57P03"),
        (ZeroDivisionError("secret"), "XX000"),
    ],
)
async def test_other_errors(house: House, error: Exception, sqlstate: str):
    house.exchange.refusal = error
    with pytest.raises(psycopg.OperationalError) as caught:
        await house.connect()
    assert "secret" not in str(caught.value)
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}) + message(b"p", b"ticket\0"))
    await client.message()
    await client.message()
    assert (await client.error())["C"] == sqlstate


async def test_who_hangs_up_while_waiting_is_not_waited_for(house: House):
    house.exchange.gate.clear()
    task = asyncio.create_task(house.connect())
    await wait_until_async(lambda: house.exchange.waiting)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wait_until_async(lambda: not house.exchange.waiting)
    assert not house.exchange.lines


async def test_who_waits_is_not_in_a_hurry(house: House):
    patient = Gateway(house.exchange, startup_timeout=1.5)
    house.port = await patient.listen_tcp("127.0.0.1", 0)
    house.exchange.gate.clear()
    try:
        task = asyncio.create_task(house.connect())
        await wait_until_async(lambda: house.exchange.waiting)
        await asyncio.sleep(2)  # more than a start-up may take
        house.exchange.gate.set()
        await (await task).close()
    finally:
        await patient.close()


async def test_who_is_cut_while_waiting_is_told(house: House):
    house.exchange.gate.clear()
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}) + message(b"p", b"ticket\0"))
    await wait_until_async(lambda: house.exchange.plugs)
    house.exchange.plugs[0].cut("the lease was revoked")
    await client.message()
    await client.message()
    said = await client.error()
    assert (said["C"], said["M"]) == ("57P01", "terminating connection: the lease was revoked")
    await wait_until_async(lambda: not house.exchange.waiting)
    assert not house.exchange.ended


async def test_what_is_sent_ahead_is_answered(house: House):
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}) + message(b"p", b"ticket\0"))
    client.write(message(b"Q", b"select 42\0"))
    kinds: list[bytes] = []
    while kinds.count(b"Z") < 2:
        kinds.append((await client.message())[0])
    assert kinds[-4:] == [b"T", b"D", b"C", b"Z"]
    await client.close()
    assert (await house.last_ended()).clean


async def test_too_much_ahead_ends_the_connection(house: House):
    house.exchange.gate.clear()
    client = await house.raw(unix=True)
    client.write(startup({"user": "acme"}) + message(b"p", b"ticket\0"))
    await wait_until_async(lambda: house.exchange.waiting)
    client.write(b"x" * 1_000_000)
    await wait_until_async(lambda: not house.exchange.waiting)
    await client.close()
