# Generated from ../_async/test_subscriber.py by tools/generate_sync.py: do not edit.
"""The subscriber: reads rows of any number, and hears of changes."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import OperationalError
from psycopg.conninfo import conninfo_to_dict

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools._sync.subscriber import Subscriber
from tests.manager._sync.helpers import Background
from tests.manager.support import kill
from tests.support.servers import on_latest

pytestmark = on_latest

NAME = "subscriber of a test"
CHANNEL = 'a "channel"'


def listed(postgres: EmbeddedPostgres) -> list[str]:
    sql = "select pid from pg_stat_activity where application_name = %s"
    return [str(pid) for (pid,) in postgres.execute(sql, [NAME])]


def notify(postgres: EmbeddedPostgres, *payloads: str) -> None:
    for payload in payloads:
        postgres.execute("select pg_notify(%s, %s)", [CHANNEL, payload])


@pytest.fixture
def subscriber(postgres: EmbeddedPostgres) -> Iterator[Subscriber]:
    dsn = postgres.dsn(application_name=NAME)
    params = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    subscriber = Subscriber(lambda: params, 20)
    subscriber.connect(CHANNEL)
    yield subscriber
    subscriber.close()
    assert listed(postgres) == []


def collect(subscriber: Subscriber, copy: str) -> list[bytes]:
    return [row for batch in subscriber.rows(copy) for row in batch]


def test_columns_are_known_without_reading(subscriber: Subscriber):
    assert subscriber.columns("select 1/0 as id, 'ü' as \"ünï\" where false") == ["id", "ünï"]


def test_rows_come_as_the_server_copies_them(subscriber: Subscriber):
    rows = collect(
        subscriber, "copy (select n, null, E'a\\tb' from generate_series(1, 2000) n) to stdout"
    )
    assert len(rows) == 2000
    assert rows[0] == b"1\t\\N\ta\\tb\n"
    assert collect(subscriber, "copy (select 1 where false) to stdout") == []


def test_a_copy_that_fails_halfway_raises_and_the_connection_stays_of_use(
    subscriber: Subscriber,
):
    with pytest.raises(psycopg.errors.DivisionByZero):
        collect(
            subscriber, "copy (select 1 / (1500 - n) from generate_series(1, 2000) n) to stdout"
        )
    assert collect(subscriber, "copy (select 1) to stdout") == [b"1\n"]


def test_a_statement_that_is_wrong_raises_what_the_server_says(subscriber: Subscriber):
    with pytest.raises(psycopg.errors.UndefinedTable):
        subscriber.columns("select * from nowhere")
    assert subscriber.columns("select 1 as one") == ["one"]


def test_single_questions_are_answered_in_text(subscriber: Subscriber):
    assert subscriber.ask("select $1::int + 1, null", "41") == [("42", None)]


def test_notifications_are_heard_in_order(subscriber: Subscriber, postgres: EmbeddedPostgres):
    hearing = Background(subscriber.heard, 20.0)
    notify(postgres, "acme")
    assert hearing.result() == ["acme"]

    notify(postgres, "one", "", "ünï")
    found: list[str] = []
    while len(found) < 3:
        found += subscriber.heard(20.0)
    assert found == ["one", "", "ünï"]
    assert subscriber.heard(0.0) == []


def test_notifications_that_come_with_an_answer_are_heard_too(
    subscriber: Subscriber, postgres: EmbeddedPostgres
):
    notify(postgres, "acme")
    collect(subscriber, "copy (select 1) to stdout")
    assert subscriber.heard(20.0) == ["acme"]


def test_a_connection_that_breaks_is_an_error_and_can_be_replaced(
    subscriber: Subscriber, postgres: EmbeddedPostgres
):
    hearing = Background(subscriber.heard, 20.0)
    kill(postgres, int(listed(postgres)[0]))
    with pytest.raises(OperationalError):
        hearing.result()
    subscriber.connect(CHANNEL)
    assert len(listed(postgres)) == 1


def test_hanging_up_ends_the_wait(subscriber: Subscriber):
    hearing = Background(subscriber.heard, 20.0)
    subscriber.hang_up()
    with pytest.raises(OperationalError):
        hearing.result()


def test_it_has_to_be_connected(subscriber: Subscriber):
    subscriber.part()
    with pytest.raises(OperationalError, match="not connected"):
        subscriber.heard(1.0)
    assert repr(subscriber) == "<Subscriber not connected>"
