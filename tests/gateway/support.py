"""A gateway for tests: its exchange opens plain connections, and remembers what it was told."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from tenantpool.gateway.exchange import Line, Plug
from tenantpool.gateway.keys import CancelKeys, Key
from tenantpool.gateway.listener import Gateway
from tenantpool.gateway.protocol import message
from tests.support.wait import wait_until_async

in_both = pytest.mark.parametrize("relays", ["C", "Python"], indirect=True)
"""Runs a test with the house's gateway relaying in C, and in Python."""

PARAMETERS = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
    "in_hot_standby",
    "default_transaction_read_only",
)


@dataclass(eq=False)
class Connected:
    """A line: a connection of its own, which ends with it."""

    conn: AsyncConnection[Any]
    plug: Plug
    cancel_key: Key
    backend: socket.socket
    parameters: Mapping[str, str]
    clean: bool | None = None
    """What ``hang_up`` said."""

    async def works(self) -> bool:
        """Whether its backend answers, as it must if it was left clean."""
        return await (await self.conn.execute("select 42")).fetchone() == (42,)

    def end(self) -> None:
        self.backend.close()
        self.conn.pgconn.finish()


@dataclass(eq=False)
class PlainExchange:
    """Takes *users* with their passwords; each dial is a connection to *dsn* of its own.

    Those that are left clean stay open, for tests to look at, until ``close``.

    ``gate`` holds dials up while it is not set; ``refusal`` is raised by them.
    """

    dsn: str
    users: dict[str, str] = field(default_factory=lambda: {"acme": "ticket"})
    refusal: BaseException | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    plugs: list[Plug] = field(default_factory=list)
    lines: list[Connected] = field(default_factory=list)
    ended: list[Connected] = field(default_factory=list)
    database: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    cancels: int = 0
    keys: CancelKeys[Connected] = field(default_factory=CancelKeys)

    def __post_init__(self) -> None:
        self.gate.set()

    def secret_of(self, user: str) -> str | None:
        return self.users.get(user)

    async def dial(self, user: str, plug: Plug, database: str, options: Mapping[str, str]) -> Line:
        self.plugs.append(plug)
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        if self.refusal is not None:
            raise self.refusal
        self.database, self.options = database, options
        conn = await AsyncConnection.connect(self.dsn, autocommit=True)
        try:
            for name, value in options.items():
                await conn.execute("select set_config(%s, %s, false)", [name, value])
        except psycopg.Error:
            await conn.close()
            raise
        return self._line(conn, plug)

    def _line(self, conn: AsyncConnection[Any], plug: Plug) -> Connected:
        known = {name: conn.info.parameter_status(name) for name in PARAMETERS}
        parameters = {name: value for name, value in known.items() if value is not None}
        backend = socket.socket(fileno=os.dup(conn.fileno()))
        backend.setblocking(False)
        line = Connected(conn, plug, self.keys.issue(), backend, parameters)
        self.keys.bind(line.cancel_key, line)
        self.lines.append(line)
        return line

    def hang_up(self, line: Line, *, clean: bool) -> None:
        assert isinstance(line, Connected)
        line.clean = clean
        self.lines.remove(line)
        self.ended.append(line)
        self.keys.revoke(line.cancel_key)
        if not clean:
            line.end()

    async def cancel(self, pid: int, secret: int) -> None:
        self.cancels += 1
        line = self.keys.find(pid, secret)
        if line is not None:
            await line.conn.cancel_safe(timeout=5)

    def close(self) -> None:
        for line in self.lines + self.ended:
            line.end()


@dataclass
class House:
    """A gateway with what is needed to reach it; *folder* has the Unix socket of the same port."""

    exchange: PlainExchange
    gateway: Gateway
    folder: Path
    port: int

    def dsn(self, *, unix: bool = False, **params: str | int) -> str:
        host = str(self.folder) if unix else "127.0.0.1"
        base: dict[str, str | int] = {
            "host": host,
            "port": self.port,
            "user": "acme",
            "password": "ticket",
            "dbname": "any",
            "gssencmode": "disable",
        }
        return make_conninfo("", **(base | params))

    async def connect(self, *, unix: bool = False, **params: str | int) -> AsyncConnection[Any]:
        return await AsyncConnection.connect(self.dsn(unix=unix, **params), autocommit=True)

    async def raw(self, *, unix: bool = False) -> RawClient:
        """A connection that has said nothing yet."""
        if unix:
            path = f"{self.folder}/.s.PGSQL.{self.port}"
            return RawClient(*await asyncio.open_unix_connection(path))
        return RawClient(*await asyncio.open_connection("127.0.0.1", self.port))

    async def session(self) -> RawClient:
        """A raw client whose session has started, over the Unix socket."""
        client = await self.raw(unix=True)
        client.write(startup({"user": "acme"}))
        assert await client.message() == (b"R", (3).to_bytes(4, "big"))
        client.write(message(b"p", b"ticket\0"))
        while (await client.message())[0] != b"Z":
            pass
        return client

    @property
    def line(self) -> Connected:
        """The only one that is connected."""
        (line,) = self.exchange.lines
        return line

    async def last_ended(self) -> Connected:
        """The line that ended, once one has."""
        await wait_until_async(lambda: self.exchange.ended, what="the end of a line")
        return self.exchange.ended[-1]


@dataclass
class RawClient:
    """A client that says whatever a test wants."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def message(self) -> tuple[bytes, bytes]:
        head = await asyncio.wait_for(self.reader.readexactly(5), 10)
        return head[:1], await self.reader.readexactly(int.from_bytes(head[1:], "big") - 4)

    async def rest(self) -> bytes:
        """All that comes until the other end closes."""
        return await asyncio.wait_for(self.reader.read(), 10)

    async def error(self) -> dict[str, str]:
        """The fields of the ErrorResponse that comes, after which nothing does."""
        kind, body = await self.message()
        assert kind == b"E", (kind, body)
        assert await self.rest() == b""
        await self.close()
        return fields(body)

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


def fields(body: bytes) -> dict[str, str]:
    """Of an ErrorResponse, by their one-letter codes."""
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def startup(parameters: Mapping[str, str], minor: int = 0) -> bytes:
    """A StartupMessage."""
    body = (3 << 16 | minor).to_bytes(4, "big")
    for name, value in parameters.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    return packet(body + b"\0")


def packet(body: bytes) -> bytes:
    return (len(body) + 4).to_bytes(4, "big") + body


def query(text: str) -> bytes:
    return message(b"Q", text.encode() + b"\0")
