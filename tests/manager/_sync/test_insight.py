# Generated from ../_async/test_insight.py by tools/generate_sync.py: do not edit.
"""Query insight in a manager: what statements tell, on a real database."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest
from psycopg import ClientCursor, Cursor, RawCursor, sql
from psycopg.rows import dict_row
from sqlalchemy import NullPool, create_engine, text

from tenantpool.config import Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError
from tests.manager._sync.helpers import OpenManager, raises
from tests.manager._sync.watched import ALWAYS, SLOW, Watched, found, here, insight
from tests.manager.support import make_settings
from tests.support.servers import on_latest

SECRET = "s3cret"


@on_latest
def test_nothing_is_looked_at_when_it_is_off(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}))
    assert manager.insight is None
    with manager.connection("a") as conn:
        assert conn.cursor_factory is Cursor
        assert not hasattr(conn, "_tenantpool_watch")
        assert type(conn.cursor()) is Cursor


def test_a_slow_statement_is_found_with_its_place(watched: Watched):
    manager = watched(slow=SLOW)
    with manager.connection("a") as conn:
        conn.execute("select pg_sleep(%s), 's3cret'", [SLOW])
        place = here(-1)
        conn.execute("select 1")
    [finding] = insight(manager).findings()
    assert (finding.kind, finding.tenant) == ("slow statement", "a")
    assert finding.statement == "select pg_sleep(?), ?"
    assert finding.place == place
    assert SLOW <= finding.seconds < 20
    assert "EXPLAIN" in finding.fix
    assert insight(manager).counts()["a"].slow == 1


@on_latest
def test_a_statement_that_fails_may_be_slow_too(watched: Watched):
    manager = watched(slow=ALWAYS)
    with raises(psycopg.errors.UndefinedTable), manager.connection("a") as conn:
        conn.execute("select 's3cret' from nowhere")
    assert [finding.statement for finding in found(manager, "slow statement")] == [
        "select ? from nowhere"
    ]


@on_latest
def test_a_statement_is_cut(watched: Watched):
    manager = watched(slow=ALWAYS, cut=20)
    with manager.connection("a") as conn:
        conn.execute("select id, name from items where id = 5")
    [finding] = found(manager, "slow statement")
    assert finding.statement == "select id, name fro…"


@on_latest
def test_101_queries_are_found_as_one_n_plus_1(watched: Watched, caplog: pytest.LogCaptureFixture):
    manager = watched()
    with manager.connection("a") as conn:
        cursor = conn.execute("select id from items where id <= 100")
        for (number,) in cursor.fetchall():
            conn.execute("select name from items where id = %s", [number])
            place = here(-1)
    [finding] = insight(manager).findings()
    assert (finding.kind, finding.count, finding.times) == ("repeated statement", 100, 1)
    assert finding.statement == "select name from items where id = ?"
    assert finding.place == place
    assert finding.what.startswith("100 times in one lease, ")
    for way in ("JOIN", "any(%s)", "eager loading", "loader", "cache"):
        assert way in finding.fix
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.event == "repeated statement"  # type: ignore[attr-defined]
    fields = record.fields  # type: ignore[attr-defined]
    assert (fields["tenant"], fields["count"], fields["place"]) == ("a", 100, place)


@on_latest
def test_repeats_are_counted_by_lease_and_by_shape(watched: Watched):
    manager = watched(repeats=3)
    for _ in range(5):
        with manager.connection("a") as conn:
            for number in range(2):
                conn.execute("select %s", [number])
                conn.execute("select %s, %s from items limit 1", [number, 1])
                conn.execute("set work_mem = '4MB'")
    assert insight(manager).findings() == []


@on_latest
def test_statements_without_data_are_no_n_plus_1(watched: Watched):
    manager = watched(repeats=3)
    with manager.connection("a") as conn:
        for _ in range(5):
            conn.execute("set local work_mem = '4MB'")
    assert insight(manager).findings() == []


@on_latest
@pytest.mark.parametrize(
    ("statement", "fix"),
    [
        ("insert into items values (%s)", "executemany"),
        ("update items set name = 'x' where id = %s", "unnest"),
        ("delete from items where id = %s", "any(%s)"),
    ],
)
def test_repeated_changes_have_a_fix_of_their_own(watched: Watched, statement: str, fix: str):
    manager = watched(repeats=3)
    with manager.connection("a") as conn:
        for number in range(3):
            conn.execute(statement, [number])
    [finding] = insight(manager).findings()
    assert fix in finding.fix


@on_latest
def test_executemany_is_one_statement_and_a_pipeline_none(watched: Watched):
    manager = watched(repeats=3, slow=ALWAYS)
    with manager.connection("a") as conn:
        cursor = conn.cursor()
        cursor.executemany("insert into items values (%s)", [[n] for n in range(50)])
        assert [f.statement for f in insight(manager).findings()] == [
            "insert into items values (?)"
        ]
        with conn.pipeline():
            for number in range(10):
                conn.execute("select %s", [number])
    assert len(insight(manager).findings()) == 1


@on_latest
@pytest.mark.parametrize("factory", [Cursor, ClientCursor, RawCursor])
def test_the_applications_own_cursors_stay_what_they_are(
    watched: Watched, factory: type[Cursor[Any]]
):
    class Own(factory):  # type: ignore[misc, valid-type]
        """A cursor class of the application."""

    placeholder = "$1" if factory is RawCursor else "%s"
    manager = watched(slow=ALWAYS, kwargs={"cursor_factory": Own, "row_factory": dict_row})
    with manager.connection("a") as conn:
        cursor = conn.execute(f"select {placeholder}::text as a", [SECRET])
        assert isinstance(cursor, Own)
        assert repr(cursor).startswith(f"<{Own.__module__}.{Own.__qualname__} ")
        assert cursor.fetchone() == {"a": SECRET}
    assert [f.statement for f in insight(manager).findings()] == ["select ?::text as a"]


@on_latest
def test_a_cursor_class_that_is_set_in_a_lease_is_seen_from_the_next_one_on(
    watched: Watched,
):
    manager = watched(slow=ALWAYS)
    with manager.connection("a") as conn:
        conn.cursor_factory = ClientCursor
        conn.execute("select 1")
    assert insight(manager).findings() == []
    with manager.connection("a") as conn:
        cursor = conn.execute("select %s", [2])
        assert isinstance(cursor, ClientCursor)
    assert [f.statement for f in insight(manager).findings()] == ["select ?"]


@on_latest
def test_every_way_to_run_a_statement_is_seen(watched: Watched):
    manager = watched(repeats=2, cut=1000)
    with manager.connection("a") as conn:
        composed = sql.SQL("select {}, {}").format(sql.Literal(SECRET), sql.Identifier("id"))
        for query in ("select 1", b"select 2, 3", composed + sql.SQL(" from items limit 1")):
            for _ in range(2):
                conn.execute(query)
        for _ in range(2):
            for _row in conn.cursor().stream("select id from items where id < 5"):
                pass
            with conn.cursor(name="named") as cursor:
                cursor.execute("select name from items where id < 5")
                assert len(cursor.fetchall()) == 4
    assert sorted(finding.statement for finding in insight(manager).findings()) == [
        "select ?",
        'select ?, "id" from items limit ?',
        "select id from items where id < ?",
        "select name from items where id < ?",
    ]


@on_latest
def test_no_statement_is_seen_after_the_lease(watched: Watched):
    manager = watched(slow=ALWAYS)
    with manager.connection("a") as conn:
        cursor = conn.cursor()
    with manager.connection("a"):
        pass
    cursor.execute("select 1")
    conn.rollback()
    assert insight(manager).findings() == []


@on_latest
def test_every_way_to_borrow_is_looked_at(watched: Watched):
    manager = watched(slow=ALWAYS)
    manager.execute("a", "select 1 as one")
    with manager.transaction("a") as conn:
        conn.execute("select 1 as two")
    conn = manager.acquire("a")
    conn.execute("select 1 as three")
    manager.release(conn)
    with manager.pool("a").connection() as conn:
        conn.execute("select 1 as four")
    statements = [finding.statement for finding in insight(manager).findings()]
    assert statements[::-1] == [f"select ? as {name}" for name in ("one", "two", "three", "four")]
    assert {f.place.rpartition(" in ")[2] for f in insight(manager).findings()} == {
        "test_every_way_to_borrow_is_looked_at"
    }


@on_latest
def test_what_sqlalchemy_runs_is_found_at_the_applications_line(watched: Watched):
    manager = watched(repeats=5)
    pool = manager.pool("a", close_returns=True)
    engine = create_engine("postgresql+psycopg://", poolclass=NullPool, creator=pool.getconn)
    with engine.connect() as connection:
        for number in range(6):
            connection.execute(text("select :n"), {"n": number})
            place = here(-1)
    engine.dispose()
    [finding] = found(manager, "repeated statement")
    assert (finding.count, finding.place) == (6, place)


@on_latest
def test_no_value_of_a_statement_is_in_a_line_of_the_log(
    watched: Watched, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG, "tenantpool")
    manager = watched(slow=ALWAYS, explain=True, explain_analyze=True, repeats=2)
    for query, params in (
        ("select * from items where name = 's3cret'", None),
        ("select * from items where name = %s", [SECRET]),
        ("select * from items where name = $$s3cret$$ -- s3cret", None),
        ("select e's3cret\\'', * from items where name like 's3cret%' order by name", None),
        ("select * from nowhere where name = 's3cret'", None),
        ("select 's3cret", None),
    ):
        for _ in range(2):
            conn = manager.acquire("a")
            for _ in range(2):
                try:
                    conn.execute(query, params)
                except psycopg.Error:
                    conn.rollback()
            manager.release(conn)
    messages = [record.getMessage() for record in caplog.records]
    assert {finding.kind for finding in insight(manager).findings()} == {
        "slow statement", "repeated statement", "plan"
    }  # fmt: skip
    assert messages
    assert not [message for message in messages if SECRET in message]
    assert not [f for f in insight(manager).findings() if SECRET in f"{f!r}{f}"]


@on_latest
def test_the_section_has_the_values_of_the_options(postgres: EmbeddedPostgres):
    sections = {"insight": {"enabled": True, "slow": 0.1, "repeats": 5}}
    settings = make_settings(postgres, {}, sections=sections)
    options = settings.insight.options()
    assert (options.slow, options.repeats, options.cut) == (0.1, 5, 200)
    with pytest.raises(ConfigError, match=r"insight\.repeats"):
        make_settings(postgres, {}, sections={"insight": {"repeats": 1}})
    assert not Settings(databases={"main": {"conninfo": "host=db"}}).insight.enabled


@on_latest
def test_after_a_change_of_the_rules_what_is_found_goes_by_the_new_ones(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    def rules(slow: float) -> Settings:
        section = {"insight": {"enabled": True, "slow": slow, "log_interval": 0}}
        return make_settings(postgres, {"a": {"dbname": database}}, sections=section)

    manager = open_manager(rules(30))
    manager.execute("a", "select 1")
    manager.apply(rules(ALWAYS))
    manager.execute("a", "select 2")
    assert found(manager, "slow statement")
