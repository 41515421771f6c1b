# Generated from ../_async/test_options.py by tools/generate_sync.py: do not edit.
"""What an application may ask of every connection: a class, arguments, a function."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.rows import dict_row

from tenantpool import ConnectFailed
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, wait_until
from tests.manager.support import make_settings, shared
from tests.support.servers import on_latest

pytestmark = on_latest


class Own(Connection[Any]):
    """A connection class of the application."""


def test_connections_are_of_the_class_that_was_asked_for(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = open_manager(settings, connection_class=Own)
    for tenant in ("a", "b"):
        with manager.connection(tenant) as conn:
            assert isinstance(conn, Own)
            assert repr(conn).startswith(f"<{Own.__module__}.{Own.__qualname__} [IDLE]")


def test_connections_are_made_with_the_arguments_that_were_given(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    kwargs = {"row_factory": dict_row, "autocommit": True}
    settings = make_settings(postgres, {"a": {"dbname": database}})
    manager = open_manager(settings, kwargs=kwargs)
    kwargs.clear()
    with manager.connection("a") as conn:
        assert conn.autocommit
        assert (conn.execute("select 1 as n")).fetchone() == {"n": 1}
    assert (manager.execute("a", "select 2 as n")).fetchone() == {"n": 2}


def test_the_function_sees_every_new_and_every_wiped_connection(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    found: list[object] = []

    def configure(conn: Connection[Any]) -> None:
        cursor = conn.execute(
            "select nullif(current_setting('app.tenant', true), ''), current_setting('work_mem')"
        )
        found.append(cursor.fetchone())
        conn.execute("set work_mem = '5MB'")

    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = open_manager(settings, configure=configure)
    for tenant in ("a", "a", "b"):
        assert (manager.execute(tenant, "show work_mem")).fetchone() == ("5MB",)
    assert found == [(None, "4MB"), (None, "4MB")]


def test_the_function_does_not_undo_what_tells_tenants_apart(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    def configure(conn: Connection[Any]) -> None:
        conn.execute("set search_path = pg_catalog")
        conn.execute("set app.tenant = 'nobody'")

    tenants = {
        name: {"dbname": database, "schema": name, "settings": {"app.tenant": name}}
        for name in ("a", "b")
    }
    settings = make_settings(postgres, tenants, capacity=1)
    manager = open_manager(settings, configure=configure)
    for tenant in ("a", "b", "a"):
        assert (manager.execute(tenant, "show search_path")).fetchone() == (f'"{tenant}", public',)
        assert (manager.execute(tenant, "show app.tenant")).fetchone() == (tenant,)


def test_a_function_that_fails_refuses_the_request_and_takes_no_slot(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    def configure(conn: Connection[Any]) -> None:
        conn.execute("select * from nowhere")

    settings = make_settings(postgres, {"a": {"dbname": database}})
    manager = open_manager(settings, configure=configure)
    with pytest.raises(ConnectFailed) as refusal:
        manager.acquire("a", timeout=5)
    assert isinstance(refusal.value.__cause__, psycopg.errors.UndefinedTable)
    wait_until(lambda: manager.stats().databases["main"].used == 0)


def test_a_function_that_fails_for_the_next_tenant_takes_no_slot(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    calls = []

    def configure(conn: Connection[Any]) -> None:
        calls.append(conn)
        if len(calls) == 2:
            raise ValueError("not this one")

    settings = make_settings(postgres, shared(database, "a", "b"), capacity=1)
    manager = open_manager(settings, configure=configure)
    manager.execute("a", "select 1")
    with pytest.raises(ValueError, match="not this one"):
        manager.acquire("b", timeout=5)
    assert (manager.execute("b", "select 1")).fetchone() == (1,)
    assert manager.stats().databases["main"].used == 1
