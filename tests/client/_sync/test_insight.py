# Generated from ../_async/test_insight.py by tools/generate_sync.py: do not edit.
"""Query insight in a worker, with the real service, whichever way the connection comes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg import Cursor

from tenantpool.client import LeaseClient
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.insight import Finding, Insight, Options
from tests.client._sync.helpers import Client, OpenClient, raises, wait_until
from tests.client.serve import RealService
from tests.support.servers import on_latest

pytestmark = on_latest

TOKEN = "a-token-of-the-worker"
ALWAYS = 1e-6
DELIVERIES = ("hand-off", "gateway", "direct")


@pytest.fixture
def open_real(
    service: RealService, postgres: EmbeddedPostgres, database: str
) -> Iterator[OpenClient]:
    """``open_real(...)`` returns a client of the real service; there is a table of items."""
    with psycopg.connect(postgres.dsn(dbname=database), autocommit=True) as conn:
        conn.execute("create table items as select g as id from generate_series(1, 50000) g")
        conn.execute("analyze items")
    with ExitStack() as stack:

        def open_one(**options: Any) -> Client:
            options = {"token": TOKEN, "linger": 0, **options}
            client: Client = LeaseClient(f"unix:{service.folder}", **options)
            return stack.enter_context(client)

        yield open_one


def kinds(insight: Insight) -> list[str]:
    return [finding.kind for finding in insight.findings("a")]


def only(insight: Insight, kind: str) -> Finding:
    [finding] = [finding for finding in insight.findings("a") if finding.kind == kind]
    return finding


def here(offset: int = 0) -> str:
    """``file:line in function`` of the caller, *offset* lines on."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    code = frame.f_back.f_code
    return f"{code.co_filename}:{frame.f_back.f_lineno + offset} in {code.co_qualname}"


def test_nothing_is_looked_at_when_it_is_off(open_real: OpenClient):
    client = open_real()
    assert client.insight is None
    with client.connection("a") as conn:
        assert conn.cursor_factory is Cursor


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_statements_are_seen_whichever_way_they_go(open_real: OpenClient, delivery: str):
    insight = Insight(Options(slow=0.05, repeats=5, explain=True, explain_interval=1e-6))
    client = open_real(delivery=delivery, insight=insight)
    for round_ in range(2):  # the second of a hand-off is in a husk
        with client.connection("a") as conn:
            for number in range(6):
                conn.execute("select id from items where id = %s limit 1", [number])
                place = here(-1)
            conn.execute(
                "select * from items where id = -1 and (select pg_sleep(0.05)) is not null"
            )
        assert only(insight, "repeated statement").times == round_ + 1
        assert only(insight, "repeated statement").place == place
        assert only(insight, "slow statement").statement == (
            "select * from items where id = ? and (select pg_sleep(?)) is not null"
        )
        assert only(insight, "plan").what.startswith("Seq Scan of items: ")


def test_a_lease_that_was_parked_is_seen_again(open_real: OpenClient):
    insight = Insight(Options(slow=ALWAYS))
    client = open_real(linger=10, insight=insight)
    for _ in range(3):
        with client.connection("a") as conn:
            conn.execute("select 1")
    conn = client.acquire("a")
    conn.execute("select 1")
    conn.close()
    assert client.stats().reused == 3
    assert sum(finding.times for finding in insight.findings("a")) == 4


def test_one_insight_serves_several_clients(open_real: OpenClient):
    insight = Insight(Options(slow=ALWAYS))
    for tenant in ("a", "b"):
        client = open_real(insight=insight)
        with client.connection(tenant) as conn:
            conn.execute("select 1")
    assert set(insight.counts()) == {"a", "b"}


def test_a_lease_that_lasts_is_found_with_its_place(open_real: OpenClient):
    insight = Insight(Options(long_lease=0.5, idle_in_transaction=0.5))
    client = open_real(insight=insight)
    with client.connection("a") as conn:
        place = here(-1)
        conn.execute("select 1")
        wait_until(lambda: len(kinds(insight)) == 2)
    assert only(insight, "long lease").place == place
    assert only(insight, "idle in transaction").place == place


def test_a_lease_that_fails_rolls_back_before_its_plan_is_looked_at(open_real: OpenClient):
    insight = Insight(Options(slow=ALWAYS, explain=True))
    client = open_real(insight=insight)
    with raises(ZeroDivisionError), client.connection("a") as conn:
        conn.execute("insert into items values (-1)")
        conn.execute("select * from items where id = -1")
        raise ZeroDivisionError
    assert "plan" in kinds(insight)
    with client.connection("a") as conn:
        cursor = conn.execute("select count(*) from items where id < 0")
        assert cursor.fetchone() == (0,)


def test_the_lease_is_used_once_all_the_same(open_real: OpenClient):
    client = open_real(insight=Insight())
    lease = client.connection("a")
    assert (lease.lease_id, getattr(lease, "held", None)) == ("", 0.0)
    with lease:
        assert getattr(lease, "held", 0.0) > 0
    assert getattr(lease, "held", None) == 0.0
