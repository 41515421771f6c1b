# Generated from ../_async/test_leaks_in_python.py by tools/generate_sync.py: do not edit.
"""Rule 9: nothing of one tenant's session reaches another tenant of a shared pool, in Python.

psycopg keeps state of its own in a connection object, so the next tenant gets another object.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from psycopg import ClientCursor, Connection, IsolationLevel
from psycopg.adapt import AdaptersMap
from psycopg.rows import dict_row, tuple_row
from psycopg.types.string import StrDumper

from tenantpool import Manager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager
from tests.manager.support import make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest

ATTRIBUTES = [
    "autocommit",
    "isolation_level",
    "read_only",
    "deferrable",
    "row_factory",
    "cursor_factory",
    "server_cursor_factory",
    "prepare_threshold",
    "prepared_max",
]


class Loud(StrDumper):
    """Writes every text in capitals."""

    def dump(self, obj: str) -> bytes:
        return obj.upper().encode()


def state_of(conn: Connection[Any]) -> dict[str, object]:
    return {name: getattr(conn, name) for name in ATTRIBUTES}


def change_everything(conn: Connection[Any]) -> None:
    conn.set_autocommit(True)
    conn.set_isolation_level(IsolationLevel.SERIALIZABLE)
    conn.set_read_only(True)
    conn.set_deferrable(True)
    conn.row_factory = dict_row
    conn.cursor_factory = ClientCursor
    conn.server_cursor_factory = type("Mine", (psycopg.ServerCursor,), {})
    conn.prepare_threshold = 0
    conn.prepared_max = 3
    conn.adapters.register_dumper(str, Loud)


@pytest.fixture
def manager(postgres: EmbeddedPostgres, database: str, open_manager: OpenManager) -> Manager:
    """Two tenants, ``a`` and ``b``, and one connection between them."""
    return open_manager(make_settings(postgres, shared(database, "a", "b"), capacity=1))


def test_no_attribute_of_the_connection_object_is_left(manager: Manager):
    with manager.connection("a") as conn:
        clean, backend = state_of(conn), conn.info.backend_pid
        change_everything(conn)
        assert not set(clean.items()) & set(state_of(conn).items())

    with manager.connection("b") as conn:
        assert conn.info.backend_pid == backend
        assert state_of(conn) == clean
        assert (conn.execute("select %s", ["quiet"])).fetchone() == ("quiet",)


def test_what_the_application_asked_of_every_connection_is_there_again(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(str, Loud)
    kwargs = {
        "autocommit": True,
        "row_factory": dict_row,
        "cursor_factory": ClientCursor,
        "prepare_threshold": None,
        "context": type("Context", (), {"adapters": adapters, "connection": None})(),
    }
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = open_manager(settings, kwargs=kwargs)
    states = []
    for tenant in ("a", "b"):
        with manager.connection(tenant) as conn:
            states.append(state_of(conn))
            row = (conn.execute("select %s as said", ["loud"])).fetchone()
            assert row == {"said": "LOUD"}
            conn.row_factory = tuple_row
            conn.adapters.register_dumper(str, StrDumper)
    assert states[0] == states[1]


def test_arguments_of_none_ask_for_nothing(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    nothing = dict.fromkeys(("context", "row_factory", "cursor_factory"))
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = open_manager(settings, kwargs=nothing)

    for tenant in ("a", "b"):
        with manager.connection(tenant) as conn:
            assert (conn.execute("select 1")).fetchone() == (1,)


USES: dict[str, Callable[[Connection[Any]], Any]] = {
    "execute": lambda conn: conn.execute("select 1"),
    "commit": lambda conn: conn.commit(),
    "cursor": lambda conn: conn.cursor().execute("select 1"),
    "transaction": lambda conn: conn.transaction().__enter__(),
    "set_read_only": lambda conn: conn.set_read_only(True),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_connection_that_a_tenant_kept_is_dead_to_it(
    use: Callable[[Connection[Any]], Any], manager: Manager
):
    with manager.connection("a") as kept:
        kept.execute("select 1")

    with manager.connection("b") as conn:
        assert kept is not conn
        assert kept.closed
        with pytest.raises((psycopg.OperationalError, psycopg.InterfaceError)):
            use(kept)
        kept.close()
        assert (conn.execute("select 1")).fetchone() == (1,)


def test_a_cursor_that_a_tenant_kept_reaches_nothing(manager: Manager):
    with manager.connection("a") as conn:
        client = conn.execute("select generate_series(1, 3)")
        conn.commit()
        named = conn.cursor("mine", withhold=True)
        named.execute("select generate_series(1, 3)")
        copy = conn.cursor().copy("copy (select 1) to stdout")

    with manager.connection("b") as conn:
        assert client.fetchone() == (1,)  # its own row, from memory
        for attempt in (
            lambda: client.execute("select 1"),
            lambda: named.fetchone(),
            lambda: copy.__enter__(),
        ):
            with pytest.raises((psycopg.OperationalError, psycopg.InterfaceError)):
                attempt()
        named.close()
        assert (conn.execute("select 1")).fetchone() == (1,)


def test_handlers_of_the_former_tenant_hear_nothing(manager: Manager):
    heard: list[object] = []
    with manager.connection("a") as conn:
        conn.add_notice_handler(heard.append)
        conn.add_notify_handler(heard.append)

    with manager.connection("b") as conn:
        conn.execute("do $$ begin raise notice 'for b only'; end $$")
        conn.execute("listen news")
        conn.commit()
        conn.execute("notify news, 'for b only'")
        conn.commit()
        conn.execute("select 1")
    assert heard == []


def test_a_notification_for_the_former_tenant_is_not_delivered_to_the_next(
    manager: Manager, postgres: EmbeddedPostgres, database: str
):
    with manager.connection("a") as conn:
        conn.execute("listen news")
    postgres.execute("notify news, 'for a only'", dbname=database)
    postgres.execute("select 1", dbname=database)

    with manager.connection("b") as conn:
        conn.set_autocommit(True)
        heard = []
        with suppress(StopIteration):
            for notification in conn.notifies(timeout=0.05):
                heard.append(notification)
    assert heard == []


def test_a_notification_that_waits_in_the_object_stays_with_its_tenant(
    manager: Manager, postgres: EmbeddedPostgres, database: str
):
    with manager.connection("a") as conn:
        conn.execute("listen news")
        conn.commit()
        postgres.execute("notify news, 'for a only'", dbname=database)
        backlog = conn._notifies_backlog
        assert backlog is not None
        while not backlog:
            conn.execute("select 1")
            conn.commit()

    with manager.connection("b") as conn:
        assert not conn._notifies_backlog
