# Generated from ../_async/test_parking.py by tools/generate_sync.py: do not edit.
"""A lease that came back is kept for a moment, unless somebody else wants it."""

from __future__ import annotations

from time import monotonic
from typing import Any

import psycopg
import pytest

from tenantpool.client import Drain, shelf
from tenantpool.v1.session_pb2 import DrainNotice, LeaseEnded, Recall
from tests.client._sync.helpers import Background, Client, Oops, OpenClient, raises, wait_until
from tests.client.fake import FakeService
from tests.support.servers import on_latest

pytestmark = on_latest

LONG = 60.0


@pytest.fixture
def parking(open_client: OpenClient) -> Client:
    """A client that parks for so long that it makes no difference."""
    return open_client(linger=LONG)


def use(client: Client, tenant: str = "a") -> int:
    with client.connection(tenant) as conn:
        row = (conn.execute("select pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


def test_a_parked_lease_is_used_again_without_a_call(parking: Client, fake: FakeService):
    pids = {use(parking) for _ in range(5)}
    assert len(pids) == 1
    assert (len(fake.heard("acquire")), len(fake.heard("release"))) == (1, 0)
    stats = parking.stats()
    assert (stats.acquired, stats.reused, stats.parked) == (1, 4, 1)


def test_it_is_parked_for_its_tenant_only(parking: Client, fake: FakeService):
    use(parking, "a")
    use(parking, "b")
    assert [asked.tenant for asked in fake.heard("acquire")] == ["a", "b"]
    assert parking.stats().parked == 2


def test_its_object_is_a_fresh_one(parking: Client, fake: FakeService):
    with parking.connection("a") as old:
        old.execute("set work_mem = '1234kB'")
        old.add_notice_handler(lambda _: None)
        old.row_factory = psycopg.rows.dict_row
        cursor = old.cursor()
    with parking.connection("a") as conn:
        assert conn is not old
        assert old.closed
        with pytest.raises(psycopg.Error):
            old.execute("select 1")
        with pytest.raises(psycopg.Error):
            cursor.execute("select 1")
        assert conn._notice_handlers == []
        # As in psycopg_pool, the session may be as it was left.
        assert (conn.execute("show work_mem")).fetchone() == ("1234kB",)
    with pytest.raises(psycopg.Error):
        old.execute("select 1")


def test_prepared_statements_go_on(open_client: OpenClient, fake: FakeService):
    client = open_client(linger=LONG, kwargs={"autocommit": True, "prepare_threshold": 0})
    for _ in range(3):
        with client.connection("a") as conn:
            for query in ("select 1 + %s::int", "select 2 + %s::int"):
                conn.execute(query, [1])
    with client.connection("a") as conn:
        cursor = conn.execute("select count(*) from pg_prepared_statements")
        assert cursor.fetchone() == (3,)


def test_what_a_block_left_open_is_ended_first(open_client: OpenClient, fake: FakeService):
    client = open_client(linger=LONG, kwargs=None)
    with raises(Oops), client.connection("a") as conn:
        conn.execute("create table t (x int)")
        raise Oops
    assert client.stats().parked == 1
    with client.connection("a") as conn:
        assert (conn.execute("select to_regclass('t')")).fetchone() == (None,)


def test_it_goes_back_when_its_time_is_over(open_client: OpenClient, fake: FakeService):
    client = open_client(linger=0.05)
    began = monotonic()
    use(client)
    wait_until(lambda: fake.heard("release"))
    assert monotonic() - began >= 0.05
    assert (client.stats().parked, client.stats().husks) == (0, 1)
    use(client)
    wait_until(lambda: len(fake.heard("release")) == 2)


def test_a_recall_takes_back_all_the_first_first(parking: Client, fake: FakeService):
    for tenant in "abc":
        use(parking, tenant)
    fake.notify(recall=Recall())
    wait_until(lambda: len(fake.heard("release")) == 3)
    assert [r.lease.lease_id[0] for r in fake.heard("release")] == ["a", "b", "c"]
    assert parking.stats().parked == 0
    assert parking.stats().recalls == 1


def test_a_lease_that_is_used_again_says_who_it_is(parking: Client, fake: FakeService):
    use(parking)
    fake.notify(recall=Recall())
    wait_until(lambda: parking.stats().husks == 1)
    for reused in (0, 1):  # in the husk of the lease before, whose id libpq still knows
        with parking.connection("a") as conn:
            assert conn.info.user == next(iter(fake.loans))
        assert parking.stats().reused == reused


def test_a_recall_may_be_of_one_tenant(parking: Client, fake: FakeService):
    use(parking, "a")
    use(parking, "b")
    fake.notify(recall=Recall(tenant="a"))
    wait_until(lambda: fake.heard("release"))
    assert [r.lease.lease_id[0] for r in fake.heard("release")] == ["a"]
    assert parking.stats().parked == 1


def test_nothing_is_parked_while_it_shall_be_quiet(parking: Client, fake: FakeService):
    parking.open()
    recall = Recall(tenant="a")
    recall.quiet.FromSeconds(600)
    fake.notify(recall=recall)
    wait_until(lambda: parking.stats().recalls)
    use(parking, "a")
    use(parking, "b")
    assert parking.stats().parked == 1
    wait_until(lambda: len(fake.heard("release")) == 1)


def test_parking_goes_on_when_the_quiet_is_over(parking: Client, fake: FakeService):
    parking.open()
    recall = Recall()
    recall.quiet.FromMilliseconds(50)
    fake.notify(recall=recall)
    wait_until(lambda: parking.stats().recalls)
    over = monotonic() + 0.05
    wait_until(lambda: monotonic() > over)
    use(parking, "a")
    assert parking.stats().parked == 1


def test_a_lease_in_use_is_not_recalled(parking: Client, fake: FakeService):
    with parking.connection("a") as conn:
        fake.notify(recall=Recall())
        wait_until(lambda: parking.stats().recalls)
        assert (conn.execute("select 1")).fetchone() == (1,)
    assert parking.stats().parked == 1


def test_a_drain_takes_back_what_is_parked_and_tells(open_client: OpenClient, fake: FakeService):
    told: list[Drain] = []
    client = open_client(linger=LONG, on_drain=told.append)
    use(client, "a")
    with client.connection("b"):
        notice = DrainNotice(reason="the service ends")
        notice.drain_within.FromSeconds(5)
        fake.notify(drain=notice)
        wait_until(lambda: told and fake.heard("release"))
    assert told == [Drain("", 5.0, "the service ends")]
    wait_until(lambda: len(fake.heard("release")) == 2)
    assert client.stats().parked == 0


def test_a_drain_of_one_lease_keeps_it_from_being_parked(
    open_client: OpenClient, fake: FakeService
):
    told: list[Drain] = []
    client = open_client(linger=LONG, on_drain=told.append)
    lease = client.connection("a")
    with lease:
        fake.notify(drain=DrainNotice(lease_id=lease.lease_id, reason="wanted"))
        wait_until(lambda: told)
    assert told == [Drain("a", 0.0, "wanted")]
    wait_until(lambda: fake.heard("release"))
    use(client, "a")
    assert client.stats().parked == 1


def test_an_on_drain_that_fails_does_no_harm(
    open_client: OpenClient, fake: FakeService, caplog: pytest.LogCaptureFixture
):
    def fail(drain: Drain) -> None:
        raise Oops

    client = open_client(linger=LONG, on_drain=fail)
    use(client, "a")
    fake.notify(drain=DrainNotice())
    wait_until(lambda: fake.heard("release"))
    wait_until(lambda: "on_drain failed" in caplog.text)
    use(client, "a")


def test_a_parked_connection_that_died_is_not_lent(
    parking: Client, fake: FakeService, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shelf, "_TRUST", 0.0)
    pid = use(parking)
    with psycopg.connect(fake.conninfo, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [pid])
    assert use(parking) != pid
    assert fake.heard("release")[0].broken


def test_a_parked_lease_that_ended_is_not_lent(parking: Client, fake: FakeService):
    pid = use(parking)
    (loan,) = fake.loans.values()
    fake.notify(ended=LeaseEnded(lease_id=loan.lease_id, reason="revoked"))
    wait_until(lambda: not parking.stats().parked)
    assert parking.stats().ended == 1
    assert use(parking) != pid


def test_gateway_connections_are_parked_too(open_client: OpenClient, fake: FakeService):
    client = open_client(linger=LONG, delivery="gateway")
    assert use(client) == use(client)
    assert client.stats().reused == 1


def test_close_gives_parked_leases_back(parking: Client, fake: FakeService):
    use(parking)
    parking.close()
    assert [r.WhichOneof("request") for r in fake.said[-2:]] == ["release", "goodbye"]


def test_a_lease_that_comes_back_during_close_is_not_parked(parking: Client, fake: FakeService):
    held: Any = parking.acquire("a")
    closing = Background(parking.close, 20)
    wait_until(lambda: "closed" in repr(parking))
    held.close()
    assert closing.result() == 0
    assert len(fake.heard("release")) == 1
