"""A gateway for tests: its exchange opens plain connections, and remembers what it was told."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import AsyncConnection

from tenantpool.gateway.exchange import Line, Plug
from tenantpool.gateway.keys import CancelKeys, Key

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

    def end(self) -> None:
        self.backend.close()
        self.conn.pgconn.finish()


@dataclass(eq=False)
class PlainExchange:
    """Takes *users* with their passwords; each dial is a connection to *dsn* of its own.

    ``gate`` holds dials up while it is not set; ``refusal`` is raised by them.
    """

    dsn: str
    users: dict[str, str] = field(default_factory=lambda: {"acme": "ticket"})
    refusal: BaseException | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    lines: list[Connected] = field(default_factory=list)
    ended: list[Connected] = field(default_factory=list)
    options: Mapping[str, str] = field(default_factory=dict)
    cancels: int = 0
    keys: CancelKeys[Connected] = field(default_factory=CancelKeys)

    def __post_init__(self) -> None:
        self.gate.set()

    def secret_of(self, user: str) -> str | None:
        return self.users.get(user)

    async def dial(self, user: str, plug: Plug, options: Mapping[str, str]) -> Line:
        self.waiting += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting -= 1
        if self.refusal is not None:
            raise self.refusal
        self.options = options
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
        self.drop(line)

    def drop(self, line: Connected) -> None:
        self.lines.remove(line)
        self.ended.append(line)
        self.keys.revoke(line.cancel_key)
        line.end()

    async def cancel(self, pid: int, secret: int) -> None:
        self.cancels += 1
        line = self.keys.find(pid, secret)
        if line is not None:
            await line.conn.cancel_safe(timeout=5)

    def close(self) -> None:
        for line in tuple(self.lines):
            self.drop(line)
