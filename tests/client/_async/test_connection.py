"""Borrowing a connection, and giving it back."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import dict_row

from tenantpool.errors import LeaseEnded, ManagerClosed
from tenantpool.v1.lease_pb2 import DELIVERY_GATEWAY, DELIVERY_HAND_OFF
from tests.client._async.helpers import Background, Client, Oops, OpenClient, raises, wait_until
from tests.client.fake import FakeService
from tests.support.servers import on_latest

pytestmark = on_latest


async def rows_of_t(client: Client) -> int:
    async with client.connection("a") as conn:
        row = await (await conn.execute("select count(*) from t")).fetchone()
    assert row is not None
    return int(row[0])


async def make_t(client: Client) -> None:
    async with client.connection("a") as conn:
        await conn.execute("create table t (x int)")


async def test_a_block_that_ends_well_commits(open_client: OpenClient):
    client = await open_client(kwargs=None)
    await make_t(client)
    async with client.connection("a") as conn:
        await conn.execute("insert into t values (1)")
    assert await rows_of_t(client) == 1


async def test_a_block_that_raises_rolls_back(open_client: OpenClient, fake: FakeService):
    client = await open_client(kwargs=None)
    await make_t(client)
    async with raises(Oops), client.connection("a") as conn:
        await conn.execute("insert into t values (1)")
        raise Oops
    assert await rows_of_t(client) == 0
    assert not any(release.broken for release in fake.heard("release"))


async def test_a_commit_that_fails_raises_and_the_connection_is_clean(
    open_client: OpenClient, fake: FakeService
):
    client = await open_client(kwargs=None)
    async with client.connection("a") as conn:
        await conn.execute("create table u (x int unique deferrable initially deferred)")
    async with raises(psycopg.errors.UniqueViolation), client.connection("a") as conn:
        await conn.execute("insert into u values (1), (1)")
    async with client.connection("a") as conn:
        assert await (await conn.execute("select count(*) from u")).fetchone() == (0,)
    assert not any(release.broken for release in fake.heard("release"))


async def test_what_is_asked_for_is_said(client: Client, fake: FakeService):
    async with client.connection("a", timeout=1.5, priority=3):
        pass
    async with client.connection("b", timeout=0):
        pass
    async with client.connection("c"):
        pass
    asked, at_once, unlimited = fake.heard("acquire")
    assert (asked.tenant, asked.priority) == ("a", 3)
    assert 1.4 < asked.timeout.ToTimedelta().total_seconds() <= 1.5
    assert at_once.HasField("timeout")
    assert at_once.timeout.ToNanoseconds() == 0
    assert not unlimited.HasField("timeout")


async def test_the_first_lease_connects_and_the_next_ones_fill_its_husk(
    client: Client, fake: FakeService
):
    for _ in range(3):
        async with client.connection("a") as conn:
            assert await (await conn.execute("select 1")).fetchone() == (1,)
    stats = client.stats()
    assert (stats.acquired, stats.connects, stats.hand_overs) == (3, 1, 2)
    assert (stats.lent, stats.parked, stats.husks) == (0, 0, 1)
    assert len(fake.heard("hand_over")) == 1


async def test_leases_at_the_same_time_have_connections_of_their_own(client: Client):
    async with client.connection("a") as one, client.connection("a") as two:
        assert client.stats().lent == 2
        pids = [
            await (await conn.execute("select pg_backend_pid()")).fetchone() for conn in (one, two)
        ]
    assert pids[0] != pids[1]
    assert client.stats().husks == 2


async def test_through_the_gateway_if_asked_for(open_client: OpenClient, fake: FakeService):
    client = await open_client(delivery="gateway")
    for _ in range(2):
        async with client.connection("a") as conn:
            assert await (await conn.execute("select 1")).fetchone() == (1,)
    assert client.stats().connects == 2
    assert fake.heard("hand_over") == []
    assert {asked.delivery for asked in fake.heard("acquire")} == {DELIVERY_GATEWAY}
    assert [list(hello.deliveries) for hello in fake.heard("hello")] == [[DELIVERY_GATEWAY]]


async def test_a_worker_says_what_it_can_and_who_it_is(open_client: OpenClient, fake: FakeService):
    client = await open_client(token="geheim", worker="w1")
    await client.open()
    (hello,) = fake.heard("hello")
    assert (hello.worker, hello.token) == ("w1", "geheim")
    assert hello.deliveries[0] == DELIVERY_HAND_OFF
    assert "geheim" not in repr(client)
    assert "geheim" not in repr(client._target)


async def test_a_lease_is_used_once(client: Client):
    lease = client.connection("a")
    async with lease, raises(LeaseEnded, match="used once"):
        await lease.__aenter__()
    with pytest.raises(LeaseEnded, match="used once"):
        await lease.__aenter__()
    with pytest.raises(LeaseEnded):
        await lease.end(failed=False)
    assert client.stats().lent == 0


async def test_close_in_a_block_gives_the_connection_back(client: Client, fake: FakeService):
    async with client.connection("a") as conn:
        await conn.close()
        assert conn.closed
        await wait_until(lambda: fake.heard("release"))
        await conn.close()
    (release,) = fake.heard("release")
    assert not release.broken


async def test_acquire_and_release(client: Client, fake: FakeService):
    conn = await client.acquire("a")
    assert await (await conn.execute("select 1")).fetchone() == (1,)
    await client.release(conn)
    with pytest.raises(LeaseEnded):
        await client.release(conn)
    with pytest.raises(psycopg.OperationalError):
        await conn.execute("select 1")


async def test_a_foreign_connection_cannot_be_released(client: Client, open_client: OpenClient):
    other = await open_client()
    conn = await other.acquire("a")
    with pytest.raises(LeaseEnded, match="not borrowed here"):
        await client.release(conn)
    await other.release(conn)


async def test_a_transaction_block(client: Client):
    await make_t(client)
    async with raises(Oops), client.transaction("a") as conn:
        await conn.execute("insert into t values (1)")
        raise Oops
    async with client.transaction("a") as conn:
        await conn.execute("insert into t values (2)")
    assert await rows_of_t(client) == 1


async def test_kwargs_hold_for_every_lease(open_client: OpenClient):
    client = await open_client(
        kwargs={"row_factory": dict_row, "autocommit": True, "prepare_threshold": None}
    )
    for _ in range(2):
        async with client.connection("a") as conn:
            assert conn.autocommit
            assert conn.prepare_threshold is None
            assert await (await conn.execute("select 1 as one")).fetchone() == {"one": 1}


async def test_every_new_connection_is_configured(open_client: OpenClient):
    async def configure(conn: psycopg.AsyncConnection) -> None:
        await conn.execute("set work_mem = '1234kB'")

    client = await open_client(configure=configure, kwargs=None)
    for _ in range(2):
        async with client.connection("a") as conn:
            assert await (await conn.execute("show work_mem")).fetchone() == ("1234kB",)


async def test_a_configure_that_fails_leaves_no_lease(open_client: OpenClient, fake: FakeService):
    async def configure(conn: psycopg.AsyncConnection) -> None:
        raise Oops

    client = await open_client(configure=configure)
    with pytest.raises(Oops):
        await client.acquire("a")
    await wait_until(lambda: not fake.loans)
    assert client.stats().lent == 0


async def test_close_ends_everything(client: Client, fake: FakeService):
    held = await client.acquire("a")
    assert await client.close(grace=0) == 1
    assert await client.close() == 0
    assert len(fake.heard("goodbye")) == 1
    with pytest.raises(psycopg.OperationalError):
        await held.execute("select 1")
    with pytest.raises(ManagerClosed, match="closed"):
        await client.acquire("a")
    await held.close()


async def test_close_waits_for_leases_in_use(client: Client, fake: FakeService):
    held = await client.acquire("a")
    closing = Background(client.close, 20)
    await wait_until(lambda: "closed" in repr(client))
    await client.release(held)
    assert await closing.result() == 0


async def test_repr_tells_the_state(client: Client, fake: FakeService):
    assert "not connected" in repr(client)
    lease = client.connection("a")
    assert "not entered yet" in repr(lease)
    async with lease:
        assert "1 lent" in repr(client)
        assert lease.lease_id in repr(lease)
    assert "returned" in repr(lease)
