"""What a server reports of its settings, and what libpq has heard of it."""

from __future__ import annotations

import socket
import struct

import psycopg

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools.parameters import REPORTED, parameters_of
from tests.pools.frames import READY


def reported(server: EmbeddedPostgres) -> dict[str, str]:
    """The ParameterStatus messages that a session begins with."""
    packet = b"user\0postgres\0database\0postgres\0application_name\0tenantpool\0\0"
    with psycopg.connect(server.dsn()) as conn:
        path = f"{conn.info.host}/.s.PGSQL.{conn.info.port}"
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        end.sendall(struct.pack("!ii", len(packet) + 8, 3 << 16) + packet)
        answer = b""
        while answer[-6:-1] != READY:
            answer += end.recv(65536)
    found = {}
    while answer:
        kind, size = struct.unpack_from("!ci", answer)
        if kind == b"S":
            name, value = answer[5:size].split(b"\0")
            found[name.decode()] = value.decode()
        answer = answer[1 + size :]
    return found


def test_every_setting_that_a_server_reports_is_known(postgres: EmbeddedPostgres):
    asked = reported(postgres)
    assert set(asked) <= set(REPORTED)
    with psycopg.connect(postgres.dsn(application_name="tenantpool")) as conn:
        assert dict(parameters_of(conn.pgconn)) == asked


def test_equal_parameters_are_one_object(postgres: EmbeddedPostgres):
    dsn = postgres.dsn(application_name="ours")
    with psycopg.connect(dsn) as one, psycopg.connect(dsn, autocommit=True) as two:
        assert parameters_of(one.pgconn) is parameters_of(two.pgconn)
        two.execute("set time zone 'Asia/Tokyo'")
        assert parameters_of(two.pgconn)["TimeZone"] == "Asia/Tokyo"
        assert parameters_of(two.pgconn) != parameters_of(one.pgconn)
        two.execute("reset time zone")
        assert parameters_of(two.pgconn) is parameters_of(one.pgconn)


def test_a_value_that_is_not_utf8_comes_back_as_it_was(postgres: EmbeddedPostgres):
    with psycopg.connect(postgres.dsn(), autocommit=True, client_encoding="latin1") as conn:
        conn.execute("set application_name = 'x'; set search_path = 'café'")
        path = parameters_of(conn.pgconn).get(
            "search_path", "café".encode("latin1").decode("utf-8", "surrogateescape")
        )
        assert path.encode("utf-8", "surrogateescape").strip(b'"') == b"caf\xe9"
