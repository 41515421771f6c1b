# Generated from ../_async/test_connect.py by tools/generate_sync.py: do not edit.
"""Connections are made as psycopg makes them, whichever way that is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import Connection
from psycopg.errors import ConnectionTimeout
from psycopg.rows import dict_row

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools._sync.connect import connect, only_address
from tenantpool.pools._sync.witness import Witness
from tests.pools._sync.conftest import OpenLink
from tests.support.servers import on_latest
from tests.support.severer import HOST, Severer

ATTRIBUTES = (
    *("autocommit", "row_factory", "cursor_factory", "server_cursor_factory", "isolation_level"),
    *("prepare_threshold", "prepared_max", "read_only", "deferrable", "_adapters"),
)


class Named(Connection[Any]):
    """A connection class of the application that connects in its own way."""

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        return super().connect(conninfo, **{**kwargs, "application_name": "mine"})


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    yield witness
    witness.close()


def words(error: BaseException) -> str:
    """What comes after psycopg's own words."""
    return str(error).partition(": ")[2]


def addresses(postgres: EmbeddedPostgres) -> list[str]:
    """The server by its socket, by its address and by its name."""
    port = postgres.port
    return [postgres.dsn(), *(postgres.dsn(host=host, port=port) for host in (HOST, "localhost"))]


@on_latest
@pytest.mark.parametrize("way", range(3), ids=["socket", "address", "name"])
@pytest.mark.parametrize(
    "kwargs", [{}, {"autocommit": True, "row_factory": dict_row, "prepare_threshold": None}]
)
def test_it_is_like_one_of_psycopg(
    postgres: EmbeddedPostgres, open_link: OpenLink, way: int, kwargs: dict[str, Any]
):
    dsn = addresses(postgres)[way]
    link = open_link(dsn, kwargs=kwargs)
    theirs: Connection[Any] = Connection.connect(dsn, **kwargs)
    assert {name: getattr(link.conn, name) for name in ATTRIBUTES} == {
        name: getattr(theirs, name) for name in ATTRIBUTES
    }
    assert link.conn.pgconn.nonblocking == theirs.pgconn.nonblocking
    assert link.conn.info.get_parameters() == theirs.info.get_parameters()
    assert link.is_clean
    theirs.close()


@on_latest
def test_a_class_with_a_connect_of_its_own_is_asked(
    postgres: EmbeddedPostgres, open_link: OpenLink
):
    link = open_link(postgres.dsn(), connection_class=Named)
    assert link.conn.info.get_parameters()["application_name"] == "mine"
    assert link.end(20), "it was watched, too"


@on_latest
def test_of_several_hosts_the_next_is_tried(
    postgres: EmbeddedPostgres, open_link: OpenLink, tmp_path: Path
):
    link = open_link(postgres.dsn(host=f"{tmp_path},{HOST}", port=postgres.port))
    assert link.is_alive
    assert link.end(20)


@on_latest
def test_it_fails_in_the_words_of_libpq(
    postgres: EmbeddedPostgres, open_link: OpenLink, tmp_path: Path
):
    wrong = [
        postgres.dsn("nowhere"),
        postgres.dsn(user="nobody"),
        postgres.dsn(host=str(tmp_path)),
        postgres.dsn(host=HOST, port=1),
        postgres.dsn(host="name.invalid"),
    ]
    for dsn in wrong:
        with pytest.raises(psycopg.OperationalError) as theirs:
            Connection.connect(dsn)
        with pytest.raises(psycopg.OperationalError) as ours:
            open_link(dsn)
        assert words(ours.value) == words(theirs.value)


@on_latest
def test_a_server_that_does_not_answer_is_given_up_in_time(
    postgres: EmbeddedPostgres, witness: Witness
):
    with Severer(postgres.port) as network:
        network.pause()
        with pytest.raises(ConnectionTimeout):
            connect(f"host={HOST} port={network.port} user=a dbname=a", 0.05, witness)


def test_an_address_that_does_not_answer_is_given_up_in_time(witness: Witness):
    """Nobody accepts, and the queue of those who wait for that is full."""
    with socket.socket() as deaf:
        deaf.bind((HOST, 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        with socket.create_connection((HOST, port)), pytest.raises(ConnectionTimeout):
            connect(f"host={HOST} port={port} user=a dbname=a", 0.05, witness)


@on_latest
def test_what_is_given_up_leaves_only_the_witness_a_socket(
    postgres: EmbeddedPostgres, witness: Witness
):
    before = len(os.listdir("/proc/self/fd"))
    with Severer(postgres.port) as network:
        network.pause()
        within = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ConnectionTimeout):
            connect(f"host={HOST} port={network.port} user=a dbname=a", 0.05, witness)
        assert "of 1>" in repr(witness)
        witness.close()
        assert len(os.listdir("/proc/self/fd")) <= within + 1, "but for the severer's own"
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("params", "is_one"),
    [
        ({"host": "/run/postgresql"}, True),
        ({"host": HOST, "port": "5432"}, True),
        ({"host": "/run/postgresql,/tmp"}, False),
        ({"host": f"{HOST},{HOST}", "port": "5432"}, False),
        ({"host": "/run/postgresql", "target_session_attrs": "prefer-standby"}, False),
    ],
    ids=str,
)
def test_an_address_is_the_only_one_if_psycopg_would_try_no_other(
    params: dict[str, str], is_one: bool
):
    found = only_address(params)
    assert (found is not None) == is_one
    assert found is None or found.items() >= params.items()
