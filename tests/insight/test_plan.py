"""Plans in words: of documents that EXPLAIN made, and of some made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.insight import read_plan

Connection = psycopg.Connection[Any]


@pytest.fixture
def conn(postgres: EmbeddedPostgres, database: str) -> Iterator[Connection]:
    """A connection to tables with and without statistics, planned without parallel workers."""
    with psycopg.connect(postgres.dsn(dbname=database), autocommit=True) as conn:
        conn.execute("set max_parallel_workers_per_gather = 0")
        conn.execute("set jit = off")
        conn.execute(
            "create table items as select g as id, g % 1000 as kind, 'secret' || g as name"
            " from generate_series(1, 100000) g"
        )
        conn.execute("create table kinds as select g as id from generate_series(1, 1000) g")
        conn.execute("create table tiny as select 1 as id")
        conn.execute("analyze")
        yield conn


def remarks(conn: Connection, statement: str, *, analyze: bool = False, rows: int = -1) -> str:
    """What is said about the plan, a line for each remark."""
    how = "format json, analyze" if analyze else "format json"
    row = conn.execute(f"explain ({how}) {statement}").fetchone()
    assert row is not None
    return "\n".join(f"{what} -> {fix}" for what, fix in read_plan(row[0], rows))


def test_a_good_plan_is_not_remarked_upon(conn: Connection):
    conn.execute("create unique index on items (id)")
    assert remarks(conn, "select * from items where id = 5") == ""
    assert remarks(conn, "select * from tiny where id = 1") == ""


def test_a_seq_scan_names_the_table_and_the_columns_to_index(conn: Connection):
    said = remarks(conn, "select * from items where name = 'secret77'")
    assert said.startswith("Seq Scan of items: all of it is read, at a cost of ")
    assert "for an estimated 1 row -> index the columns of its condition (name = ?::text)" in said


def test_a_seq_scan_without_a_condition_asks_for_one(conn: Connection):
    assert "LIMIT" in remarks(conn, "select * from items")


def test_a_costly_sort_names_its_keys(conn: Connection):
    said = remarks(conn, "select * from items order by name, kind")
    assert "Sort by items.name, items.kind: 100,000 rows at a cost of" in said or (
        "Sort by name, kind: 100,000 rows at a cost of" in said
    )
    assert "an index on (" in said
    assert "Sort" not in remarks(conn, "select * from kinds order by id")


def test_a_nested_loop_over_many_rows_is_found(conn: Connection):
    conn.execute("set enable_hashjoin = off")
    conn.execute("set enable_mergejoin = off")
    said = remarks(conn, "select * from kinds join items on items.kind = kinds.id")
    assert "Nested Loop: " in said
    assert "is looked at once for each of an estimated" in said
    assert "index the columns that" in said


def test_a_costly_plan_is_said_first(conn: Connection):
    conn.execute("set enable_hashjoin = off")
    conn.execute("set enable_mergejoin = off")
    said = remarks(conn, "select * from items a join items b on a.id = b.kind")
    assert said.startswith("cost: the plan is estimated at ")
    assert "above 10,000" in said


def test_rows_removed_by_a_filter_are_counted_by_a_run(conn: Connection):
    statement = "select * from items where name = 'secret77'"
    said = remarks(conn, statement, analyze=True)
    assert (
        "rows removed by filter at Seq Scan of items: 99,999 rows were read and thrown away"
        " to keep 1 -> index the columns of its condition (name = ?::text)" in said
    )
    assert "removed" not in remarks(conn, statement)


def test_an_estimate_far_from_what_came_is_found_by_a_run(conn: Connection):
    # Columns that depend on each other, of which the planner knows nothing.
    conn.execute("create table twins as select g % 300 as a, g % 300 as b"
                 " from generate_series(1, 90000) g")  # fmt: skip
    conn.execute("analyze twins")
    said = remarks(conn, "select count(*) from twins where a = 5 and b = 5", analyze=True)
    assert "estimate at Seq Scan of twins: " in said
    assert "expected, 300 came" in said
    assert "CREATE STATISTICS" in said


def test_an_estimate_is_also_compared_with_the_rows_that_a_statement_gave(conn: Connection):
    statement = "select * from kinds where id < 5"
    assert "estimate at Seq Scan of kinds" in remarks(conn, statement, rows=900)
    assert "estimate" not in remarks(conn, statement, rows=5)
    assert "estimate" not in remarks(conn, statement)


def test_a_node_that_is_stopped_early_is_no_wrong_estimate(conn: Connection):
    assert "estimate" not in remarks(conn, "select * from items limit 5", analyze=True)


def test_no_value_is_left_in_the_words(conn: Connection):
    statement = "select * from items where name like 'secret%' and kind in (987654, 987655)"
    said = remarks(conn, f"{statement} order by name || 'secret'", analyze=True)
    assert "rows removed by filter" in said
    assert not any(value in said for value in ("secret", "98765", "'"))


def test_a_costly_sort_is_judged_without_what_it_sorts():
    scan = {"Node Type": "Index Scan", "Total Cost": 9000.0, "Plan Rows": 10}
    sort = {"Node Type": "Sort", "Total Cost": 9001.0, "Plan Rows": 10, "Sort Key": ["a"],
            "Plans": [scan]}  # fmt: skip
    assert read_plan([{"Plan": sort}]) == []
    [remark] = read_plan({"Plan": {**sort, "Total Cost": 10_000.5}})[1:]
    assert remark.what == "Sort by a: 10 rows at a cost of 1,000, above 1,000"


def test_what_is_no_plan_is_refused():
    with pytest.raises(KeyError):
        read_plan([{}])
