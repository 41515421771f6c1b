# Generated from ../_async/test_catalog.py by tools/generate_sync.py: do not edit.
"""Tenants that come from a table of the operator's."""

from __future__ import annotations

from typing import Any

import pytest

from tenantpool import Manager, Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConnectFailed, TenantSuspended, UnknownTenant
from tests.manager._sync.helpers import OpenManager, pid_of, raises, wait_until
from tests.manager.support import kill, make_settings
from tests.support.servers import on_latest

pytestmark = on_latest

TABLE = """
create table tenants (
    id text primary key, tier text, dbname text, settings jsonb, suspended boolean, note text
);
create function tell() returns trigger language plpgsql as
$$ begin perform pg_notify('tenants', coalesce(new.id, old.id)); return null; end $$;
create trigger tell after insert or update or delete on tenants
for each row execute function tell();
"""
READERS = """
select pid from pg_stat_activity where datname = %s and query ~ '^(LISTEN|COPY|SELECT "id")'
"""


class Table:
    """The operator's table."""

    def __init__(self, server: EmbeddedPostgres, dbname: str) -> None:
        self._server = server
        self.dbname = dbname
        self.execute(TABLE)

    def execute(self, sql: str, *values: object) -> list[Any]:
        return self._server.execute(sql, list(values) or None, dbname=self.dbname)

    def insert(self, name: str, **values: object) -> None:
        columns = ", ".join(["id", *values])
        places = ", ".join(["%s"] * (1 + len(values)))
        self.execute(f"insert into tenants ({columns}) values ({places})", name, *values.values())

    def settings(self, **catalog: object) -> Settings:
        section = {"dbname": self.dbname, "table": "tenants", "channel": "tenants", **catalog}
        return make_settings(self._server, {}, sections={"catalog": section}, capacity=4)

    def readers(self) -> list[int]:
        return [pid for (pid,) in self._server.execute(READERS, [self.dbname])]


@pytest.fixture
def table(postgres: EmbeddedPostgres, database: str) -> Table:
    return Table(postgres, database)


def is_served(manager: Manager, tenant: str) -> bool:
    try:
        pid_of(manager, tenant)
    except UnknownTenant:
        return False
    return True


def test_tenants_of_the_catalog_are_served_as_their_rows_say(
    table: Table, open_manager: OpenManager
):
    table.insert("acme", dbname="postgres", tier="pro")
    table.insert("beta", dbname=table.dbname)
    manager = open_manager(table.settings())
    [(dbname,)] = (manager.execute("acme", "select current_database()")).fetchall()
    assert dbname == "postgres"
    pid_of(manager, "beta")
    assert [manager.stats().tenants[name].cap for name in ("acme", "beta")] == [25, 8]
    with raises(UnknownTenant):
        pid_of(manager, "gamma")


def test_a_new_row_is_served_when_it_is_told_of(table: Table, open_manager: OpenManager):
    manager = open_manager(table.settings(interval=3600))
    assert not is_served(manager, "acme")
    table.insert("acme", dbname=table.dbname)
    wait_until(lambda: "acme" in manager.roster.listing)
    assert is_served(manager, "acme")

    table.execute("delete from tenants")
    wait_until(lambda: "acme" not in manager.roster.listing)
    assert not is_served(manager, "acme")


def test_everything_is_read_again_on_the_interval(table: Table, open_manager: OpenManager):
    manager = open_manager(table.settings(channel=None, interval=0.05))
    table.insert("acme", dbname=table.dbname)
    wait_until(lambda: "acme" in manager.roster.listing)


def test_everything_is_read_again_when_told_of_no_tenant_or_of_very_many(
    table: Table, open_manager: OpenManager
):
    manager = open_manager(table.settings(interval=3600))
    table.execute("alter table tenants disable trigger tell")
    table.insert("acme", dbname=table.dbname)
    table.execute("notify tenants")
    wait_until(lambda: "acme" in manager.roster.listing)

    table.execute("alter table tenants enable trigger tell")
    table.execute("insert into tenants (id) select 't' || n from generate_series(1, 500) n")
    wait_until(lambda: len(manager.roster.listing) == 501)


def test_a_change_reaches_a_tenant_that_is_served_already(table: Table, open_manager: OpenManager):
    table.insert("acme", dbname=table.dbname)
    manager = open_manager(table.settings(interval=3600))
    with manager.connection("acme") as held:
        table.execute("update tenants set suspended = true, tier = 'pro'")
        wait_until(lambda: manager.stats().tenants["acme"].cap == 25)
        with raises(TenantSuspended, match="the catalog says so"):
            pid_of(manager, "acme")
        held.execute("select 1")
    table.execute("update tenants set suspended = false")
    wait_until(lambda: not manager.roster.tenant("acme").suspended)
    pid_of(manager, "acme")


def test_a_row_that_makes_no_sense_refuses_its_tenant_and_no_other(
    table: Table, open_manager: OpenManager
):
    table.insert("acme", dbname=table.dbname, tier="gold")
    table.insert("beta", dbname=table.dbname)
    manager = open_manager(table.settings())
    with raises(UnknownTenant, match="there is no tier gold"):
        pid_of(manager, "acme")
    pid_of(manager, "beta")


def test_the_reader_is_one_of_the_connections_that_the_capacity_counts(
    table: Table, open_manager: OpenManager
):
    manager = open_manager(table.settings())
    assert manager.stats().databases["main"].capacity == 3
    assert len(table.readers()) == 1


def test_a_reader_that_broke_comes_back_and_tenants_stay_as_they_were(
    table: Table, postgres: EmbeddedPostgres, open_manager: OpenManager
):
    table.insert("acme", dbname=table.dbname)
    manager = open_manager(table.settings(interval=3600))
    [pid] = table.readers()
    kill(postgres, pid)
    pid_of(manager, "acme")
    wait_until(lambda: table.readers() not in ([], [pid]))
    table.insert("beta", dbname=table.dbname)
    wait_until(lambda: "beta" in manager.roster.listing)


def test_before_the_catalog_could_be_read_nobody_is_called_unknown(
    table: Table, open_manager: OpenManager
):
    table.execute("alter table tenants rename to tenants_of_tomorrow")
    manager = open_manager(table.settings())
    with raises(ConnectFailed, match="the catalog has not been read yet"):
        pid_of(manager, "acme")
    table.execute("alter table tenants_of_tomorrow rename to tenants")
    table.insert("acme", dbname=table.dbname)
    wait_until(lambda: "acme" in manager.roster.listing)
    pid_of(manager, "acme")


def test_a_catalog_can_be_configured_and_dropped_while_it_runs(
    table: Table, postgres: EmbeddedPostgres, open_manager: OpenManager
):
    table.insert("acme", dbname=table.dbname)
    without = make_settings(postgres, {}, capacity=4)
    manager = open_manager(without)
    assert not is_served(manager, "acme")

    manager.apply(table.settings())
    wait_until(lambda: "acme" in manager.roster.listing)
    assert is_served(manager, "acme")
    assert manager.stats().databases["main"].capacity == 3

    manager.apply(without)
    assert not is_served(manager, "acme")
    assert manager.stats().databases["main"].capacity == 4
    assert table.readers() == []
