"""A lease that came back is kept for a moment, unless somebody else wants it."""

from __future__ import annotations

from time import monotonic
from typing import Any

import psycopg
import pytest

from tenantpool.client import Drain, shelf
from tenantpool.v1.session_pb2 import DrainNotice, LeaseEnded, Recall
from tests.client._async.helpers import Background, Client, Oops, OpenClient, raises, wait_until
from tests.client.fake import FakeService
from tests.support.servers import on_latest

pytestmark = on_latest

LONG = 60.0


@pytest.fixture
async def parking(open_client: OpenClient) -> Client:
    """A client that parks for so long that it makes no difference."""
    return await open_client(linger=LONG)


async def use(client: Client, tenant: str = "a") -> int:
    async with client.connection(tenant) as conn:
        row = await (await conn.execute("select pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_parked_lease_is_used_again_without_a_call(parking: Client, fake: FakeService):
    pids = {await use(parking) for _ in range(5)}
    assert len(pids) == 1
    assert (len(fake.heard("acquire")), len(fake.heard("release"))) == (1, 0)
    stats = parking.stats()
    assert (stats.acquired, stats.reused, stats.parked) == (1, 4, 1)


async def test_it_is_parked_for_its_tenant_only(parking: Client, fake: FakeService):
    await use(parking, "a")
    await use(parking, "b")
    assert [asked.tenant for asked in fake.heard("acquire")] == ["a", "b"]
    assert parking.stats().parked == 2


async def test_its_object_is_a_fresh_one(parking: Client, fake: FakeService):
    async with parking.connection("a") as old:
        await old.execute("set work_mem = '1234kB'")
        old.add_notice_handler(lambda _: None)
        old.row_factory = psycopg.rows.dict_row
        cursor = old.cursor()
    async with parking.connection("a") as conn:
        assert conn is not old
        assert old.closed
        with pytest.raises(psycopg.Error):
            await old.execute("select 1")
        with pytest.raises(psycopg.Error):
            await cursor.execute("select 1")
        assert conn._notice_handlers == []
        # As in psycopg_pool, the session may be as it was left.
        assert await (await conn.execute("show work_mem")).fetchone() == ("1234kB",)
    with pytest.raises(psycopg.Error):
        await old.execute("select 1")


async def test_prepared_statements_go_on(open_client: OpenClient, fake: FakeService):
    client = await open_client(linger=LONG, kwargs={"autocommit": True, "prepare_threshold": 0})
    for _ in range(3):
        async with client.connection("a") as conn:
            for query in ("select 1 + %s::int", "select 2 + %s::int"):
                await conn.execute(query, [1])
    async with client.connection("a") as conn:
        cursor = await conn.execute("select count(*) from pg_prepared_statements")
        assert await cursor.fetchone() == (3,)


async def test_what_a_block_left_open_is_ended_first(open_client: OpenClient, fake: FakeService):
    client = await open_client(linger=LONG, kwargs=None)
    async with raises(Oops), client.connection("a") as conn:
        await conn.execute("create table t (x int)")
        raise Oops
    assert client.stats().parked == 1
    async with client.connection("a") as conn:
        assert await (await conn.execute("select to_regclass('t')")).fetchone() == (None,)


async def test_it_goes_back_when_its_time_is_over(open_client: OpenClient, fake: FakeService):
    client = await open_client(linger=0.05)
    began = monotonic()
    await use(client)
    await wait_until(lambda: fake.heard("release"))
    assert monotonic() - began >= 0.05
    assert (client.stats().parked, client.stats().husks) == (0, 1)
    await use(client)
    await wait_until(lambda: len(fake.heard("release")) == 2)


async def test_a_recall_takes_back_all_the_first_first(parking: Client, fake: FakeService):
    for tenant in "abc":
        await use(parking, tenant)
    fake.notify(recall=Recall())
    await wait_until(lambda: len(fake.heard("release")) == 3)
    assert [r.lease.lease_id[0] for r in fake.heard("release")] == ["a", "b", "c"]
    assert parking.stats().parked == 0
    assert parking.stats().recalls == 1


async def test_a_lease_that_is_used_again_says_who_it_is(parking: Client, fake: FakeService):
    await use(parking)
    fake.notify(recall=Recall())
    await wait_until(lambda: parking.stats().husks == 1)
    for reused in (0, 1):  # in the husk of the lease before, whose id libpq still knows
        async with parking.connection("a") as conn:
            assert conn.info.user == next(iter(fake.loans))
        assert parking.stats().reused == reused


async def test_a_recall_may_be_of_one_tenant(parking: Client, fake: FakeService):
    await use(parking, "a")
    await use(parking, "b")
    fake.notify(recall=Recall(tenant="a"))
    await wait_until(lambda: fake.heard("release"))
    assert [r.lease.lease_id[0] for r in fake.heard("release")] == ["a"]
    assert parking.stats().parked == 1


async def test_nothing_is_parked_while_it_shall_be_quiet(parking: Client, fake: FakeService):
    await parking.open()
    recall = Recall(tenant="a")
    recall.quiet.FromSeconds(600)
    fake.notify(recall=recall)
    await wait_until(lambda: parking.stats().recalls)
    await use(parking, "a")
    await use(parking, "b")
    assert parking.stats().parked == 1
    await wait_until(lambda: len(fake.heard("release")) == 1)


async def test_parking_goes_on_when_the_quiet_is_over(parking: Client, fake: FakeService):
    await parking.open()
    recall = Recall()
    recall.quiet.FromMilliseconds(50)
    fake.notify(recall=recall)
    await wait_until(lambda: parking.stats().recalls)
    over = monotonic() + 0.05
    await wait_until(lambda: monotonic() > over)
    await use(parking, "a")
    assert parking.stats().parked == 1


async def test_a_lease_in_use_is_not_recalled(parking: Client, fake: FakeService):
    async with parking.connection("a") as conn:
        fake.notify(recall=Recall())
        await wait_until(lambda: parking.stats().recalls)
        assert await (await conn.execute("select 1")).fetchone() == (1,)
    assert parking.stats().parked == 1


async def test_a_drain_takes_back_what_is_parked_and_tells(
    open_client: OpenClient, fake: FakeService
):
    told: list[Drain] = []
    client = await open_client(linger=LONG, on_drain=told.append)
    await use(client, "a")
    async with client.connection("b"):
        notice = DrainNotice(reason="the service ends")
        notice.drain_within.FromSeconds(5)
        fake.notify(drain=notice)
        await wait_until(lambda: told and fake.heard("release"))
    assert told == [Drain("", 5.0, "the service ends")]
    await wait_until(lambda: len(fake.heard("release")) == 2)
    assert client.stats().parked == 0


async def test_a_drain_of_one_lease_keeps_it_from_being_parked(
    open_client: OpenClient, fake: FakeService
):
    told: list[Drain] = []
    client = await open_client(linger=LONG, on_drain=told.append)
    lease = client.connection("a")
    async with lease:
        fake.notify(drain=DrainNotice(lease_id=lease.lease_id, reason="wanted"))
        await wait_until(lambda: told)
    assert told == [Drain("a", 0.0, "wanted")]
    await wait_until(lambda: fake.heard("release"))
    await use(client, "a")
    assert client.stats().parked == 1


async def test_an_on_drain_that_fails_does_no_harm(
    open_client: OpenClient, fake: FakeService, caplog: pytest.LogCaptureFixture
):
    def fail(drain: Drain) -> None:
        raise Oops

    client = await open_client(linger=LONG, on_drain=fail)
    await use(client, "a")
    fake.notify(drain=DrainNotice())
    await wait_until(lambda: fake.heard("release"))
    await wait_until(lambda: "on_drain failed" in caplog.text)
    await use(client, "a")


async def test_a_parked_connection_that_died_is_not_lent(
    parking: Client, fake: FakeService, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shelf, "_TRUST", 0.0)
    pid = await use(parking)
    with psycopg.connect(fake.conninfo, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [pid])
    assert await use(parking) != pid
    assert fake.heard("release")[0].broken


async def test_a_parked_lease_that_ended_is_not_lent(parking: Client, fake: FakeService):
    pid = await use(parking)
    (loan,) = fake.loans.values()
    fake.notify(ended=LeaseEnded(lease_id=loan.lease_id, reason="revoked"))
    await wait_until(lambda: not parking.stats().parked)
    assert parking.stats().ended == 1
    assert await use(parking) != pid


async def test_gateway_connections_are_parked_too(open_client: OpenClient, fake: FakeService):
    client = await open_client(linger=LONG, delivery="gateway")
    assert await use(client) == await use(client)
    assert client.stats().reused == 1


async def test_close_gives_parked_leases_back(parking: Client, fake: FakeService):
    await use(parking)
    await parking.close()
    assert [r.WhichOneof("request") for r in fake.said[-2:]] == ["release", "goodbye"]


async def test_a_lease_that_comes_back_during_close_is_not_parked(
    parking: Client, fake: FakeService
):
    held: Any = await parking.acquire("a")
    closing = Background(parking.close, 20)
    await wait_until(lambda: "closed" in repr(parking))
    await held.close()
    assert await closing.result() == 0
    assert len(fake.heard("release")) == 1
