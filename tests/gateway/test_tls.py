"""TLS: offered where there is a certificate, demanded where that is wanted."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest

from tenantpool.gateway.listener import Gateway
from tests.gateway.support import House, in_both, packet
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

pytestmark = [on_latest, in_both]

SSL_REQUEST = packet((80877103).to_bytes(4, "big"))


@pytest.fixture(scope="module")
def certificate() -> Iterator[Path]:
    """A self-signed certificate for localhost, and its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, so there is no certificate to test with")
    folder = Path(tempfile.mkdtemp(prefix="tpgw-"))
    path = folder / "both.pem"
    command = "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    output = ["-keyout", str(path), "-out", str(folder / "cert.pem")]
    subprocess.run([*command.split(), *names, *output], check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "cert.pem").read_text())
    yield path
    shutil.rmtree(folder)


@pytest.fixture
async def tls_house(house: House, certificate: Path) -> AsyncIterator[House]:
    """The house, at a port where nobody gets in without TLS."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    gateway = Gateway(house.exchange, tls=lambda: context, require_tls=True, startup_timeout=5)
    port = await gateway.listen_tcp("127.0.0.1", 0)
    yield House(house.exchange, gateway, house.folder, port)
    await gateway.close()


async def test_psycopg(tls_house: House, certificate: Path):
    root = str(certificate)
    async with await tls_house.connect(sslmode="verify-full", sslrootcert=root) as conn:
        assert conn.pgconn.ssl_in_use
        cur = await conn.execute("select repeat('x', 1000) from generate_series(1, 50000)")
        assert len(await cur.fetchall()) == 50_000
        async with conn.cursor().copy("copy (select 1) to stdout") as copy:
            assert [row async for row in copy.rows()] == [("1",)]
    assert (await tls_house.last_ended()).clean


async def test_asyncpg(tls_house: House, certificate: Path):
    context = ssl.create_default_context(cafile=str(certificate))
    conn = await asyncpg.connect(
        host="127.0.0.1",
        port=tls_house.port,
        user="acme",
        password="ticket",
        database="any",
        ssl=context,
    )
    assert await conn.fetchval("select 1") == 1
    await conn.close()
    await wait_until_async(lambda: not tls_house.exchange.lines)


async def test_cut(tls_house: House):
    conn = await tls_house.connect(sslmode="require")
    tls_house.line.plug.cut("the lease has expired")
    with pytest.raises(psycopg.errors.AdminShutdown, match="expired"):
        await conn.execute("select 1")
    await conn.close()


async def test_a_cancel_within_tls(tls_house: House):
    async with await tls_house.connect(sslmode="require") as conn:
        await conn.cancel_safe()
        await wait_until_async(lambda: tls_house.exchange.cancels)


async def test_who_comes_without_is_turned_away(tls_house: House):
    with pytest.raises(psycopg.OperationalError, match="without TLS are not accepted"):
        await tls_house.connect(sslmode="disable")


async def test_clear_bytes_in_front_of_the_handshake_are_refused(tls_house: House):
    client = await tls_house.raw()
    client.write(SSL_REQUEST + b"\x16\x03\x01")
    assert (await client.error())["C"] == "08P01"


async def test_a_handshake_that_is_none(tls_house: House):
    client = await tls_house.raw()
    client.write(SSL_REQUEST)
    assert await client.reader.readexactly(1) == b"S"
    client.write(b"GET / HTTP/1.1\r\n\r\n")
    await client.rest()
    await client.close()
    await wait_until_async(lambda: " 0 clients" in repr(tls_house.gateway))


async def test_who_hangs_up_during_the_handshake(tls_house: House):
    client = await tls_house.raw()
    client.write(SSL_REQUEST)
    assert await client.reader.readexactly(1) == b"S"
    await client.close()
    await wait_until_async(lambda: " 0 clients" in repr(tls_house.gateway))


async def test_closing_in_the_middle_of_a_handshake(tls_house: House):
    client = await tls_house.raw()
    client.write(SSL_REQUEST)
    assert await client.reader.readexactly(1) == b"S"
    await tls_house.gateway.close()
    assert await client.rest() == b""
    await client.close()


async def test_a_handshake_is_not_waited_for(house: House, certificate: Path):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    gateway = Gateway(house.exchange, tls=lambda: context, startup_timeout=0.1)
    house.port = await gateway.listen_tcp("127.0.0.1", 0)
    try:
        client = await house.raw()
        client.write(SSL_REQUEST)
        await client.rest()
        await client.close()
        await wait_until_async(lambda: " 0 clients" in repr(gateway))
    finally:
        await gateway.close()


async def test_on_the_unix_socket_there_is_none(tls_house: House):
    port = await tls_house.gateway.listen_unix(tls_house.folder, 0)
    unix = House(tls_house.exchange, tls_house.gateway, tls_house.folder, port)
    async with await unix.connect(unix=True, sslmode="prefer") as conn:
        assert not conn.pgconn.ssl_in_use
