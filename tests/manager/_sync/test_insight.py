# Generated from ../_async/test_insight.py by tools/generate_sync.py: do not edit.
"""Query insight in a manager: what statements and leases tell, on a real database."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any, Protocol

import psycopg
import pytest
from psycopg import ClientCursor, Cursor, RawCursor, sql
from psycopg.rows import dict_row
from sqlalchemy import NullPool, create_engine, text

from tenantpool import LeaseEnded, Manager
from tenantpool.config import Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError
from tenantpool.insight import Finding, Insight
from tests.manager._sync.helpers import Background, OpenManager, raises, wait_until
from tests.manager.support import make_settings
from tests.support.servers import on_latest

SECRET = "s3cret"
SLOW = 0.05
ALWAYS = 1e-6


class Watched(Protocol):
    """The fixture ``watched``."""

    def __call__(
        self, *, capacity: int = ..., kwargs: Mapping[str, Any] | None = ..., **options: Any
    ) -> Manager: ...


@pytest.fixture
def watched(postgres: EmbeddedPostgres, database: str, open_manager: OpenManager) -> Watched:
    """``watched(slow=...)`` returns a manager with insight; tenant ``a`` has a table of items."""
    with psycopg.connect(postgres.dsn(dbname=database), autocommit=True) as conn:
        conn.execute(
            "create table items as select g as id, 's3cret' || g as name"
            " from generate_series(1, 50000) g"
        )
        conn.execute("analyze items")

    def make(
        *, capacity: int = 4, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Manager:
        settings = make_settings(
            postgres,
            {"a": {"dbname": database}},
            sections={"insight": {"enabled": True, "slow": 30, "log_interval": 0, **options}},
            capacity=capacity,
        )
        return open_manager(settings, kwargs=kwargs)

    return make


def insight(manager: Manager) -> Insight:
    assert manager.insight is not None
    return manager.insight


def found(manager: Manager, kind: str) -> list[Finding]:
    return [finding for finding in insight(manager).findings("a") if finding.kind == kind]


def here(offset: int = 0) -> str:
    """``file:line in function`` of the caller, *offset* lines on."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    code = frame.f_back.f_code
    return f"{code.co_filename}:{frame.f_back.f_lineno + offset} in {code.co_qualname}"


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


def test_the_plan_of_a_slow_read_is_put_into_words(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True)
    with manager.connection("a") as conn:
        conn.execute("select * from items where name = 's3cret5'")
        place = here(-1)
    [finding] = found(manager, "plan")
    assert finding.what.startswith("Seq Scan of items: all of it is read, at a cost of ")
    assert finding.fix == "index the columns of its condition (name = ?::text)"
    assert (finding.statement, finding.place) == ("select * from items where name = ?", place)


def test_with_parameters_it_is_the_generic_plan(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True)
    with manager.connection("a") as conn:
        conn.execute("select * from items where name = %s", ["s3cret5"])
    [finding] = found(manager, "plan")
    assert finding.what.startswith("Seq Scan of items: ")
    assert finding.what.endswith(" (a generic plan: parameters are not kept)")


@on_latest
def test_explain_analyze_runs_reads_without_parameters_once_more(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True, explain_analyze=True)
    with manager.connection("a") as conn:
        conn.execute("select * from items where name = 's3cret5'")
    [removed] = [f for f in found(manager, "plan") if f.what.startswith("rows removed")]
    assert "49,999 rows were read and thrown away to keep 1" in removed.what


@on_latest
def test_explain_analyze_changes_nothing(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True, explain_analyze=True)
    manager.execute("a", "create sequence seq")
    manager.execute(
        "a", "create function next() returns bigint return nextval('seq')"
    )  # a change that the words of a statement do not show
    with manager.connection("a") as conn:
        cursor = conn.execute("select next()")
        assert cursor.fetchone() == (1,)
    with manager.connection("a") as conn:
        assert (conn.execute("select last_value from seq")).fetchone() == (1,)


@on_latest
def test_the_plan_of_a_shape_is_looked_at_once_in_an_interval(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True)
    for number in range(3):
        with manager.connection("a") as conn:
            conn.execute(f"select * from items where name = 's3cret{number}'")
    [finding] = found(manager, "plan")
    assert finding.times == 1
    assert found(manager, "slow statement")[0].times == 3


@on_latest
def test_nothing_is_explained_while_somebody_waits(watched: Watched):
    manager = watched(capacity=1, slow=ALWAYS, explain=True)

    def wait() -> None:
        with manager.connection("a"):
            pass

    with manager.connection("a") as conn:
        conn.execute("select * from items where name = 's3cret5'")
        waiter = Background(wait)
        wait_until(lambda: manager.stats().tenants["a"].waiting == 1)
    waiter.result()
    assert found(manager, "plan") == []
    with manager.connection("a") as conn:
        conn.execute("select * from items where name = 's3cret5'")
    assert len(found(manager, "plan")) == 1


@on_latest
def test_the_holders_transaction_ends_as_it_would(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True)
    with manager.connection("a") as conn:
        conn.execute("insert into items values (-1)")
        conn.execute("select * from items where name = 's3cret5'")
    with raises(ZeroDivisionError), manager.connection("a") as conn:
        conn.execute("insert into items values (-2)")
        conn.execute("select * from items where name = 's3cret5' and id > 0")
        raise ZeroDivisionError
    assert len(found(manager, "plan")) == 2
    result = manager.execute("a", "select id from items where id < 0")
    assert result.fetchall() == [(-1,)]


@on_latest
def test_what_can_not_be_explained_is_no_error_of_the_holders(
    watched: Watched, caplog: pytest.LogCaptureFixture
):
    manager = watched(slow=ALWAYS, explain=True)
    caplog.set_level(logging.DEBUG, "tenantpool")
    with manager.connection("a") as conn:
        conn.execute("create temp table mine on commit drop as select 's3cret' as name")
        conn.execute("select * from mine where name <> 's3cret'")
    [failed] = [r for r in caplog.records if r.getMessage().startswith("explain failed")]
    assert failed.fields == {"error": "UndefinedTable", "state": "42P01"}  # type: ignore[attr-defined]
    with manager.connection("a") as conn:
        assert not conn.autocommit
        assert (conn.execute("select 1")).fetchone() == (1,)


@on_latest
def test_a_commit_that_fails_is_raised_although_a_plan_was_due(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True)
    manager.execute("a", "create table u (id int unique deferrable initially deferred)")
    with raises(psycopg.errors.UniqueViolation), manager.connection("a") as conn:
        conn.execute("insert into u values (1), (1)")
        conn.execute("select * from items where name = 's3cret5'")
    assert manager.leases() == []


@on_latest
def test_a_revoked_lease_is_not_explained(watched: Watched):
    manager = watched(slow=ALWAYS, explain=True)
    with raises((LeaseEnded, psycopg.OperationalError)), manager.connection("a") as conn:
        conn.execute("select * from items where name = 's3cret5'")
        [lease] = manager.leases()
        manager.revoke(lease)
    assert found(manager, "plan") == []


@on_latest
def test_idle_in_transaction_is_found(watched: Watched):
    manager = watched(idle_in_transaction=0.2)
    with manager.connection("a") as conn:
        place = here(-1)
        conn.execute("select 1")
        wait_until(lambda: found(manager, "idle in transaction"))
        conn.rollback()
    [finding] = found(manager, "idle in transaction")
    assert finding.place == place
    assert finding.seconds >= 0.2
    assert "commit" in finding.fix


@on_latest
def test_a_lease_without_a_transaction_is_not_idle_in_one(watched: Watched):
    manager = watched(idle_in_transaction=0.1, long_lease=0.5)
    with manager.connection("a") as conn:
        conn.execute("select 1")
        conn.commit()
        wait_until(lambda: found(manager, "long lease"))
    assert found(manager, "idle in transaction") == []


@on_latest
def test_a_long_lease_is_found_while_it_lasts(watched: Watched):
    manager = watched(long_lease=0.2)
    with manager.connection("a"):
        place = here(-1)
        wait_until(lambda: found(manager, "long lease"))
    [finding] = found(manager, "long lease")
    assert finding.place == place


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
