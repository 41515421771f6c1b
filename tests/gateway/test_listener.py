"""Where the gateway listens, and whom it lets in."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import psycopg
import pytest

from tenantpool.errors import ConfigError
from tenantpool.gateway.listener import Gateway
from tests.gateway.support import House, PlainExchange, startup
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async


async def test_a_dead_socket_is_replaced_and_a_live_one_is_not(folder: Path):
    path = folder / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first, second = Gateway(PlainExchange("")), Gateway(PlainExchange(""))
    try:
        assert await first.listen_unix(folder, 5432) == 5432
        with pytest.raises(ConfigError, match="another process listens"):
            await second.listen_unix(folder, 5432)
    finally:
        await second.close()
        assert path.exists()
        await first.close()
    assert not path.exists()


async def test_a_file_that_is_no_socket_is_left_alone(folder: Path):
    path = folder / ".s.PGSQL.5432"
    path.write_text("mine")
    gateway = Gateway(PlainExchange(""))
    with pytest.raises(ConfigError, match="cannot listen"):
        await gateway.listen_unix(folder, 5432)
    assert path.read_text() == "mine"
    await gateway.close()


async def test_a_folder_that_is_missing(folder: Path):
    gateway = Gateway(PlainExchange(""))
    with pytest.raises(ConfigError, match="No such file"):
        await gateway.listen_unix(folder / "missing", 5432)
    await gateway.close()


async def test_a_port_that_is_taken():
    gateway = Gateway(PlainExchange(""))
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(ConfigError, match="in use"),
    ):
        await gateway.listen_tcp("127.0.0.1", other.getsockname()[1])
    await gateway.close()


async def test_a_free_port_is_found(folder: Path):
    gateway = Gateway(PlainExchange(""))
    assert await gateway.listen_tcp("127.0.0.1", 0) > 0
    first, second = await gateway.listen_unix(folder, 0), await gateway.listen_unix(folder, 0)
    assert first != second
    assert repr(gateway).startswith("<Gateway 3 sockets, 0 clients, 0 of them starting, <Relays in")
    await gateway.close()
    assert repr(gateway).startswith("<Gateway closed")


@on_latest
async def test_strangers_are_not_admitted(house: House):
    asked: list[int] = []

    def admits(uid: int) -> bool:
        asked.append(uid)
        return False

    gateway = Gateway(house.exchange, admits=admits)
    house.port = await gateway.listen_unix(house.folder, 0)
    try:
        with pytest.raises(psycopg.OperationalError, match="may not connect to this socket"):
            await house.connect(unix=True)
        assert asked == [os.geteuid()]
    finally:
        await gateway.close()


@on_latest
async def test_start_ups_are_limited_and_sessions_are_not(house: House):
    gateway = Gateway(house.exchange, max_startups=2)
    house.port = await gateway.listen_tcp("127.0.0.1", 0)
    try:
        conns = [await house.connect() for _ in range(3)]
        idle = [await house.raw() for _ in range(2)]
        await wait_until_async(lambda: "2 of them" in repr(gateway))
        refused = await house.raw()
        assert (await refused.error())["C"] == "53300"
        await idle[0].close()
        await wait_until_async(lambda: "1 of them" in repr(gateway))
        conns.append(await house.connect())
        for conn in conns:
            await conn.close()
        await idle[1].close()
    finally:
        await gateway.close()


@on_latest
async def test_closing_ends_those_who_wait_and_those_who_start(house: House):
    house.exchange.gate.clear()
    waiting = asyncio.create_task(house.connect())
    await wait_until_async(lambda: house.exchange.waiting)
    half = await house.raw()
    half.write(startup({"user": "acme"})[:9])
    await wait_until_async(lambda: "2 clients, 1 of them" in repr(house.gateway))
    await house.gateway.close()
    with pytest.raises(psycopg.OperationalError):
        await waiting
    assert not house.exchange.waiting
    await half.close()
