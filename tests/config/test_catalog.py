"""The section ``catalog``, and that PostgreSQL answers what it asks."""

from __future__ import annotations

import psycopg
import pytest

from tenantpool.config import Catalog, Listing, PoolSpec, Tenant
from tenantpool.config.catalog import COLUMNS
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError

from .conftest import MAIN, Complaints, Load

# More tables than one may be there, and names as strange as PostgreSQL takes them.
TENANTS = """
    CREATE TABLE "Our Tenants" (
        id text, tier text, settings jsonb, suspended boolean, created timestamptz DEFAULT now()
    );
    INSERT INTO "Our Tenants" VALUES
        ('zoë', 'pro', NULL, false), ('B', NULL, '{"app.x": "\\\\ \\"q\\""}', NULL),
        ('a b', 'basic', '{"app.on": true}', true), (E'back\\\\slash\\tand\\nall', NULL, NULL, NULL)
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("interval: 5", "catalog: needs a table or a query; set one of them"),
        ("table: t, query: SELECT 1", "catalog: has a table and a query; set one of them"),
        ("table: t, tabel: x", "catalog.tabel: unknown key; did you mean table?"),
        ("table: 'a.b.c'", "catalog.table: must be the name of a table"),
        ("table: 't; DROP'", "catalog.table: must be the name of a table"),
        ("query: ' ; '", "catalog.query: must be one SELECT"),
        ("table: t, database: mian", "catalog.database: there is no database mian; did you"),
        ("table: t, password: x", "catalog.password: belongs to no user; set user too"),
        ("table: t, interval: 0", "catalog.interval: should be greater than 0"),
    ],
)
def test_a_mistake_is_named_at_its_place(complaints: Complaints, written: str, said: str) -> None:
    (line,) = complaints(f"catalog: {{{written}}}")
    assert line.startswith(f"t.yaml:4: {said}")


def test_with_several_databases_one_must_be_named(load: Load) -> None:
    text = "databases: {a: {conninfo: ''}, b: {conninfo: ''}}\ntemplate: {database: a}\n"
    with pytest.raises(ConfigError, match=r"catalog\.database: is missing"):
        load(text + "catalog: {table: t}\n")
    made = load(text + "catalog: {table: t, database: b, dbname: x, user: reader}\n")
    assert made.catalog_pool == PoolSpec("b", "x", "reader")


def test_without_the_section_there_is_no_catalog(load: Load) -> None:
    made = load(MAIN)
    assert (made.catalog, made.catalog_pool) == (None, None)


def test_its_reader_logs_in_with_its_own_password(load: Load) -> None:
    made = load(
        MAIN + "catalog: {table: t, dbname: x, user: reader}\n",
        secrets={"catalog__password": "geheim"},
    )
    assert made.catalog_pool is not None
    params = made.connection_params(made.catalog_pool)
    assert (params["user"], params["password"]) == ("reader", "geheim")


# -- columns -----------------------------------------------------------------------------------


def test_only_known_columns_are_read_and_the_id_comes_first() -> None:
    assert Catalog(query="q").columns(["tier", "id", "suspended"]) == ("id", "tier", "suspended")
    assert Catalog(table="t").columns(["created", "id", "role"]) == ("id", "role")
    assert Catalog(table="t").columns(reversed(COLUMNS)) == COLUMNS


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["tier"], "catalog.query: gives no column id"),
        (["id", "teir"], "catalog.query: gives a column teir, which means nothing; did you mean"),
        (["id", "tier", "tier"], "catalog.query: gives the column tier twice"),
    ],
)
def test_columns_that_a_query_must_not_give_are_named(found: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Catalog(query="SELECT 1").columns(found)


# -- on a server -------------------------------------------------------------------------------


def read(conn: psycopg.Connection[object], catalog: Catalog) -> tuple[Listing, tuple[str, ...]]:
    """What a reader does."""
    found = conn.execute(catalog.probe.encode()).description or ()
    columns = catalog.columns(column.name for column in found)
    with conn.cursor().copy(catalog.statements(columns).copy.encode()) as copy:
        return Listing.build(columns, map(bytes, copy)), columns


@pytest.mark.parametrize(
    "catalog",
    [
        Catalog(table='"Our Tenants"'),
        Catalog(query='SELECT id, tier, settings, suspended FROM "Our Tenants" -- all;\n;'),
    ],
    ids=["table", "query"],
)
def test_a_catalog_is_read_from_postgresql(
    postgres: EmbeddedPostgres, database: str, catalog: Catalog
) -> None:
    with psycopg.connect(postgres.dsn(database), autocommit=True) as conn:
        conn.execute(TENANTS)
        made, columns = read(conn, catalog)
        raw = psycopg.RawCursor(conn)
        one = catalog.statements(columns).one.encode()
        single = {name: raw.execute(one, [name]).fetchall() for name in [*made, "nobody"]}
    assert list(made) == ["B", "a b", "back\\slash\tand\nall", "zoë"]
    assert made.get("B") == Tenant(settings={"app.x": '\\ "q"'})
    assert made.get("a b") == Tenant(tier="basic", settings={"app.on": "on"}, suspended=True)
    assert made.get("zoë") == Tenant(tier="pro")
    assert single.pop("nobody") == []
    for name, [row] in single.items():
        assert [part for part in made.differences(made.patch(name, row)) if part] == []


def test_rows_come_in_the_order_of_bytes_whatever_the_database_speaks(
    postgres: EmbeddedPostgres, database: str
) -> None:
    with psycopg.connect(postgres.dsn(database), autocommit=True) as conn:
        names = ["a", "B", "ä", "Z", "é", "_", "\U0001f600", "\ufffd"]
        conn.execute("CREATE TABLE t (id text)")
        for name in names:
            conn.execute("INSERT INTO t VALUES (%s)", [name])
        statement = Catalog(table="t").statements(["id"]).copy
        with conn.cursor().copy(statement.encode()) as copy:
            sent = [bytes(row).decode().strip() for row in copy]
    assert sent == sorted(names, key=str.encode)
