# Generated from ../_async/test_wipe.py by tools/generate_sync.py: do not edit.
"""A session that others have spoken to is wiped, and proved to be, before it is lent again."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import Connection, OperationalError
from psycopg.rows import dict_row

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools._sync.link import Link
from tests.manager._sync.helpers import Background, on_all_versions, wait_until
from tests.pools._sync.conftest import OpenLink
from tests.pools._sync.test_leaks_on_the_server import MARKS, look
from tests.pools.frames import COPY_DATA, FLUSH, converse, extended, frame, query
from tests.support.servers import on_latest

LEFT = {
    "an answer that nobody has read": query("select 1"),
    "two answers that nobody has read": query("select 1") * 2,
    "a statement that runs": query("select pg_sleep(0.1)"),
    "a transaction": query("begin"),
    "a transaction that failed": query("begin; select 1 / 0"),
    "an error that nobody has read": query("select 1 / 0"),
    "a statement without its sync": extended("select 1"),
    "a statement without its sync, sent": extended("create temporary table t ()") + FLUSH,
    "an error that waits for its sync": extended("select 1 / 0") + FLUSH,
    "a statement that runs, without its sync": extended("select pg_sleep(0.1)"),
    "a copy to the server": query("create temporary table t (i int); copy t from stdin"),
    "data for the server": query("create temporary table u (i int); copy u from stdin") + COPY_DATA,
    "a copy from the server": query("copy (select generate_series(1, 100000)) to stdout"),
    "half a message": query("select 1")[:-3],
    "a length without a message": b"Q\0\0\xff\xff",
    "a message that there is not": frame(b"?"),
    "the end": frame(b"X"),
}
"""What a former holder may have left under way, none of which may be lent."""


@on_all_versions
@pytest.mark.parametrize(("leave", "shows"), MARKS.values(), ids=MARKS)
def test_no_mark_of_one_who_spoke_on_the_socket_is_left(
    leave: str, shows: str, postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    clean = look(link.conn, shows)
    converse(link.socket, leave)

    link.wipe(20)

    assert look(link.conn, shows) == clean
    assert link.is_clean


@on_latest
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_what_is_under_way_is_found_out(
    left: bytes, postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    link.socket.send(left)
    with pytest.raises(OperationalError):
        link.wipe(0.3)


@on_latest
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_what_has_been_under_way_for_a_while_is_found_out(
    left: bytes, postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    link.socket.send(left)
    postgres.execute("select pg_sleep(0.15)")  # time for an answer
    with pytest.raises(OperationalError):
        link.wipe(0.3)


@on_latest
def test_a_statement_that_was_only_parsed_is_gone(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    link.socket.send(frame(b"P", b"mine\0select 1\0\0\0"))
    link.wipe(20)
    assert look(link.conn, "select count(*) from pg_prepared_statements") == 0


@on_latest
def test_an_answer_that_looks_right_is_not_ours(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    """As many results as a wipe has, all well: but not for this question."""
    link = open_link(postgres.dsn(database))
    link.socket.send(query("; ".join(f"select '{n:016x}'" for n in range(11))))
    with pytest.raises(OperationalError, match="something else was under way"):
        link.wipe(20)


@on_latest
def test_messages_that_nobody_asked_for_do_no_harm(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    converse(link.socket, "listen mine")
    postgres.execute("notify mine", dbname=database)
    postgres.execute("select pg_sleep(0.05)")

    link.wipe(20)

    assert link.conn.pgconn.notifies() is None
    assert look(link.conn, "select count(*) from pg_listening_channels()") == 0


@on_all_versions
def test_libpq_hears_what_has_changed_back(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    """It decodes by these: the session of the last tenant, which it knew, must not stay there."""
    link = open_link(postgres.dsn(database))
    before = link.parameters
    link.switch("set time zone 'Asia/Kolkata'; set client_encoding = latin1", undo=False)
    assert link.parameters["TimeZone"] == "Asia/Kolkata"
    converse(link.socket, "set search_path = pg_catalog; set time zone 'Asia/Tokyo'")

    link.wipe(20)

    assert link.parameters is before
    assert before["client_encoding"] == "UTF8"


@on_latest
def test_the_python_object_is_another_one(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    configured: list[Connection[Any]] = []

    def configure(conn: Connection[Any]) -> None:
        conn.execute("set work_mem = '7MB'")
        configured.append(conn)

    options = {"kwargs": {"autocommit": True, "row_factory": dict_row}, "configure": configure}
    link = open_link(postgres.dsn(database), **options)
    old = link.conn
    converse(link.socket, "set work_mem = '9MB'")

    link.wipe(20)

    assert old.closed
    assert configured == [old, link.conn]
    assert link.conn.autocommit
    cursor = link.conn.execute("show work_mem")
    assert cursor.fetchone() == {"work_mem": "7MB"}


def held_up(postgres: EmbeddedPostgres, database: str, link: Link) -> psycopg.Connection:
    """A connection that locks a temporary table of the link's session, so that a wipe waits."""
    answer = converse(
        link.socket,
        "create temporary table mine (); select pg_my_temp_schema()::regnamespace::text",
    )
    start = answer.index(b"pg_temp_")
    schema = answer[start : answer.index(b"C", start)].decode()
    conn = psycopg.connect(postgres.dsn(database))
    conn.execute(f"lock table {schema}.mine".encode())
    return conn


class Waiting:
    """Sees when the server waits for a lock with a question that it did not wait with before."""

    def __init__(self, postgres: EmbeddedPostgres, link: Link) -> None:
        self._postgres = postgres
        self._pid = link.pid
        self._seen: list[Any] = []

    def __call__(self) -> bool:
        sql = "select query from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
        now = self._postgres.execute(sql, [self._pid])
        before, self._seen = self._seen, now or self._seen
        return now not in ([], before)


@on_latest
def test_a_wipe_takes_no_longer_than_it_may(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    with held_up(postgres, database, link):
        with pytest.raises(OperationalError, match="no answer in time"):
            link.wipe(0.1)
        assert not link.is_clean


@on_latest
def test_a_cancel_that_comes_too_late_for_the_holder_does_no_harm(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    waiting = Waiting(postgres, link)
    with held_up(postgres, database, link):
        wipe = Background(link.wipe, 20)
        wait_until(waiting)
        link.cancel(20)
        wait_until(waiting)
    wipe.result()
    assert link.is_clean


@on_latest
def test_cancel_after_cancel_is_too_much(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = open_link(postgres.dsn(database))
    waiting = Waiting(postgres, link)
    with held_up(postgres, database, link):
        wipe = Background(link.wipe, 20)
        for _ in range(2):
            wait_until(waiting)
            link.cancel(20)
        with pytest.raises(OperationalError, match="cancel came after cancel"):
            wipe.result()
