# Generated from ../_async/test_connection.py by tools/generate_sync.py: do not edit.
"""Borrowing a connection, and giving it back."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import dict_row

from tenantpool.errors import LeaseEnded, ManagerClosed
from tenantpool.v1.lease_pb2 import DELIVERY_GATEWAY, DELIVERY_HAND_OFF
from tests.client._sync.helpers import Background, Client, Oops, OpenClient, raises, wait_until
from tests.client.fake import FakeService
from tests.support.servers import on_latest

pytestmark = on_latest


def rows_of_t(client: Client) -> int:
    with client.connection("a") as conn:
        row = (conn.execute("select count(*) from t")).fetchone()
    assert row is not None
    return int(row[0])


def make_t(client: Client) -> None:
    with client.connection("a") as conn:
        conn.execute("create table t (x int)")


def test_a_block_that_ends_well_commits(open_client: OpenClient):
    client = open_client(kwargs=None)
    make_t(client)
    with client.connection("a") as conn:
        conn.execute("insert into t values (1)")
    assert rows_of_t(client) == 1


def test_a_block_that_raises_rolls_back(open_client: OpenClient, fake: FakeService):
    client = open_client(kwargs=None)
    make_t(client)
    with raises(Oops), client.connection("a") as conn:
        conn.execute("insert into t values (1)")
        raise Oops
    assert rows_of_t(client) == 0
    assert not any(release.broken for release in fake.heard("release"))


def test_a_commit_that_fails_raises_and_the_connection_is_clean(
    open_client: OpenClient, fake: FakeService
):
    client = open_client(kwargs=None)
    with client.connection("a") as conn:
        conn.execute("create table u (x int unique deferrable initially deferred)")
    with raises(psycopg.errors.UniqueViolation), client.connection("a") as conn:
        conn.execute("insert into u values (1), (1)")
    with client.connection("a") as conn:
        assert (conn.execute("select count(*) from u")).fetchone() == (0,)
    assert not any(release.broken for release in fake.heard("release"))


def test_what_is_asked_for_is_said(client: Client, fake: FakeService):
    with client.connection("a", timeout=1.5, priority=3):
        pass
    with client.connection("b", timeout=0):
        pass
    with client.connection("c"):
        pass
    asked, at_once, unlimited = fake.heard("acquire")
    assert (asked.tenant, asked.priority) == ("a", 3)
    assert 1.4 < asked.timeout.ToTimedelta().total_seconds() <= 1.5
    assert at_once.HasField("timeout")
    assert at_once.timeout.ToNanoseconds() == 0
    assert not unlimited.HasField("timeout")


def test_the_first_lease_connects_and_the_next_ones_fill_its_husk(
    client: Client, fake: FakeService
):
    for _ in range(3):
        with client.connection("a") as conn:
            assert (conn.execute("select 1")).fetchone() == (1,)
    stats = client.stats()
    assert (stats.acquired, stats.connects, stats.hand_overs) == (3, 1, 2)
    assert (stats.lent, stats.parked, stats.husks) == (0, 0, 1)
    assert len(fake.heard("hand_over")) == 1


def test_leases_at_the_same_time_have_connections_of_their_own(client: Client):
    with client.connection("a") as one, client.connection("a") as two:
        assert client.stats().lent == 2
        pids = [(conn.execute("select pg_backend_pid()")).fetchone() for conn in (one, two)]
    assert pids[0] != pids[1]
    assert client.stats().husks == 2


def test_through_the_gateway_if_asked_for(open_client: OpenClient, fake: FakeService):
    client = open_client(delivery="gateway")
    for _ in range(2):
        with client.connection("a") as conn:
            assert (conn.execute("select 1")).fetchone() == (1,)
    assert client.stats().connects == 2
    assert fake.heard("hand_over") == []
    assert {asked.delivery for asked in fake.heard("acquire")} == {DELIVERY_GATEWAY}
    assert [list(hello.deliveries) for hello in fake.heard("hello")] == [[DELIVERY_GATEWAY]]


def test_a_worker_says_what_it_can_and_who_it_is(open_client: OpenClient, fake: FakeService):
    client = open_client(token="geheim", worker="w1")
    client.open()
    (hello,) = fake.heard("hello")
    assert (hello.worker, hello.token) == ("w1", "geheim")
    assert hello.deliveries[0] == DELIVERY_HAND_OFF
    assert "geheim" not in repr(client)
    assert "geheim" not in repr(client._target)


def test_a_lease_is_used_once(client: Client):
    lease = client.connection("a")
    with lease, raises(LeaseEnded, match="used once"):
        lease.__enter__()
    with pytest.raises(LeaseEnded, match="used once"):
        lease.__enter__()
    with pytest.raises(LeaseEnded):
        lease.end(failed=False)
    assert client.stats().lent == 0


def test_close_in_a_block_gives_the_connection_back(client: Client, fake: FakeService):
    with client.connection("a") as conn:
        conn.close()
        assert conn.closed
        wait_until(lambda: fake.heard("release"))
        conn.close()
    (release,) = fake.heard("release")
    assert not release.broken


def test_acquire_and_release(client: Client, fake: FakeService):
    conn = client.acquire("a")
    assert (conn.execute("select 1")).fetchone() == (1,)
    client.release(conn)
    with pytest.raises(LeaseEnded):
        client.release(conn)
    with pytest.raises(psycopg.OperationalError):
        conn.execute("select 1")


def test_a_foreign_connection_cannot_be_released(client: Client, open_client: OpenClient):
    other = open_client()
    conn = other.acquire("a")
    with pytest.raises(LeaseEnded, match="not borrowed here"):
        client.release(conn)
    other.release(conn)


def test_a_transaction_block(client: Client):
    make_t(client)
    with raises(Oops), client.transaction("a") as conn:
        conn.execute("insert into t values (1)")
        raise Oops
    with client.transaction("a") as conn:
        conn.execute("insert into t values (2)")
    assert rows_of_t(client) == 1


def test_kwargs_hold_for_every_lease(open_client: OpenClient):
    client = open_client(
        kwargs={"row_factory": dict_row, "autocommit": True, "prepare_threshold": None}
    )
    for _ in range(2):
        with client.connection("a") as conn:
            assert conn.autocommit
            assert conn.prepare_threshold is None
            assert (conn.execute("select 1 as one")).fetchone() == {"one": 1}


def test_every_new_connection_is_configured(open_client: OpenClient):
    def configure(conn: psycopg.Connection) -> None:
        conn.execute("set work_mem = '1234kB'")

    client = open_client(configure=configure, kwargs=None)
    for _ in range(2):
        with client.connection("a") as conn:
            assert (conn.execute("show work_mem")).fetchone() == ("1234kB",)


def test_a_configure_that_fails_leaves_no_lease(open_client: OpenClient, fake: FakeService):
    def configure(conn: psycopg.Connection) -> None:
        raise Oops

    client = open_client(configure=configure)
    with pytest.raises(Oops):
        client.acquire("a")
    wait_until(lambda: not fake.loans)
    assert client.stats().lent == 0


def test_close_ends_everything(client: Client, fake: FakeService):
    held = client.acquire("a")
    assert client.close(grace=0) == 1
    assert client.close() == 0
    assert len(fake.heard("goodbye")) == 1
    with pytest.raises(psycopg.OperationalError):
        held.execute("select 1")
    with pytest.raises(ManagerClosed, match="closed"):
        client.acquire("a")
    held.close()


def test_close_waits_for_leases_in_use(client: Client, fake: FakeService):
    held = client.acquire("a")
    closing = Background(client.close, 20)
    wait_until(lambda: "closed" in repr(client))
    client.release(held)
    assert closing.result() == 0


def test_repr_tells_the_state(client: Client, fake: FakeService):
    assert "not connected" in repr(client)
    lease = client.connection("a")
    assert "not entered yet" in repr(lease)
    with lease:
        assert "1 lent" in repr(client)
        assert lease.lease_id in repr(lease)
    assert "returned" in repr(lease)
