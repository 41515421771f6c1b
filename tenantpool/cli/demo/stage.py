"""The server of the demo and its databases, and what must be in them at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from tenantpool.cli.demo.cast import CAPACITY, GHOST, READER, SERVED, TEMPLATE, Tenant
from tenantpool.embedded import EmbeddedPostgres

ORDERS = "create table orders (id int generated always as identity primary key, tenant text)"

SECRET = "somebody else"
"""Owner of a row that the tenant behind row-level security must never see."""

ROWS_APART = f"""
{ORDERS};
alter table orders enable row level security;
create policy own_rows on orders using (tenant = current_setting('app.tenant'));
create role {READER};
grant select, insert on orders to {READER};
insert into orders (tenant) values ('{SECRET}')
"""

CREATE_GHOST = f"create database {GHOST.dbname} template {TEMPLATE.dbname}"
"""The database that is missing, with its table of orders."""

HAS_GHOST = f"select datname from pg_database where datname = '{GHOST.dbname}'"

COUNT = "select tenant, count(*) from {} group by tenant"


@contextmanager
def running_server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with a database, a schema or rows for every tenant that has any."""
    # More than the capacity, so that an overshoot is seen, not stopped by the server.
    limit = {"max_connections": str(2 * CAPACITY)}
    with EmbeddedPostgres(settings=limit) as server:
        for dbname in {tenant.dbname: None for tenant in (*SERVED, TEMPLATE)}:
            server.create_database(dbname)
        for tenant in (*SERVED, TEMPLATE):
            _furnish(server, tenant)
        yield server


def _furnish(server: EmbeddedPostgres, tenant: Tenant) -> None:
    """Make the tenant's table of orders, where it belongs."""
    with psycopg.connect(server.dsn(tenant.dbname), autocommit=True) as conn:
        if tenant.home == "rows":
            conn.execute(ROWS_APART.encode())
            return
        if tenant.home == "schema":
            schema = sql.Identifier(tenant.name)
            conn.execute(sql.SQL("create schema {0}; set search_path = {0}").format(schema))
        conn.execute(ORDERS.encode())


def audit(
    server: EmbeddedPostgres,
    written: Mapping[str, int],
    doubtful: Mapping[str, int],
    tenants: Iterable[Tenant] = SERVED,
) -> list[str]:
    """Compare what is in the tables of *tenants* with what the tenants have *written*, row by row.

    There may be as many more as are *doubtful*: committed by a process that was killed before it
    could tell. Return what is wrong: rows that are lost, never written, or of others.
    """
    wrong: list[str] = []
    for tenant in tenants:
        least = written.get(tenant.name, 0)
        most = least + doubtful.get(tenant.name, 0)
        found = _count(server, tenant)
        own = found.pop(tenant.name, 0)
        if not least <= own <= most:
            expected = f"{least}" if least == most else f"{least} to {most}"
            wrong.append(f"orders of {tenant.name}: found {own}, expected {expected}")
        if found != ({SECRET: 1} if tenant.home == "rows" else {}):
            wrong.append(f"orders of others among those of {tenant.name}: {found}")
    return wrong


def _count(server: EmbeddedPostgres, tenant: Tenant) -> dict[str, int]:
    """Orders in the tenant's table by their owner, as the superuser sees them."""
    schema = tenant.name if tenant.home == "schema" else "public"
    query = sql.SQL(COUNT).format(sql.Identifier(schema, "orders"))
    return dict(server.execute(query.as_string(), dbname=tenant.dbname))
