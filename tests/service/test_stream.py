"""Sessions over a gRPC stream, with a real desk and real connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from tenantpool.config.service import Service as ServiceRules
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import NotAuthenticated
from tenantpool.observe.alerts.watch import Alerts
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Guard
from tenantpool.service.override_store import OverrideStore
from tenantpool.service.overriding import Overriding
from tenantpool.service.reload import Reloader
from tenantpool.service.rpc_server import RpcServer
from tenantpool.service.source import Source
from tenantpool.status import from_status
from tenantpool.v1.admin_service_pb2 import ListLeasesRequest
from tenantpool.v1.lease_pb2 import (
    DELIVERY_GATEWAY,
    AcquireLeaseRequest,
    LeaseRef,
    ReleaseLeaseRequest,
)
from tenantpool.v1.session_pb2 import (
    DrainNotice,
    Goodbye,
    Heartbeat,
    Hello,
    SessionRequest,
    SessionResponse,
)
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .desks import make_settings, open_desk
from .support import Client, Follower, channel, error_of, reason_of

pytestmark = on_latest


class Running:
    """A desk, a gRPC server over it, and a client of that."""

    def __init__(self, desk: Desk, rpc: RpcServer, client: Client, guard: Guard) -> None:
        self.guard = guard
        self.desk = desk
        self.rpc = rpc
        self.client = client


Run = Callable[..., Any]


@pytest.fixture
def run(postgres: EmbeddedPostgres, database: str, tmp_path: Path) -> Run:
    @asynccontextmanager
    async def run(**service: Any) -> AsyncIterator[Running]:
        made = make_settings(postgres, database, **service)
        async with open_desk(made) as desk:
            manager: Any = desk._manager
            reloader = Reloader(manager, Source(), Follower())
            overriding = Overriding(reloader, OverrideStore(None, "test"))
            guard = Guard(made.service)
            rpc = RpcServer(desk, manager, guard, reloader, overriding, Alerts(manager))
            await rpc.start([], 0, tmp_path)
            try:
                async with channel(rpc.addresses[0]) as client:
                    yield Running(desk, rpc, client, guard)
            finally:
                await rpc.stop()

    return run


def make_settings_of_strangers(rules: dict[str, Any]) -> ServiceRules:
    """The same rules, but somebody else only is known."""
    stranger = {"token": "a-token-of-a-stranger", "tenants": ["*"]}
    return ServiceRules(**{**rules, "identities": {"stranger": stranger}})


class Talk:
    """A worker's end of a stream."""

    def __init__(self, client: Client) -> None:
        self.call = client.leases.Session(metadata=client.metadata)
        self._sequence = count(1)

    async def say(self, **request: Any) -> int:
        sequence = next(self._sequence)
        await self.call.write(SessionRequest(sequence=sequence, **request))
        return sequence

    async def hear(self) -> SessionResponse:
        response = await self.call.read()
        assert isinstance(response, SessionResponse)
        return response

    async def answer_to(self, sequence: int) -> SessionResponse:
        """The answer; notices that come before it are passed over."""
        while not (response := await self.hear()).sequence:
            pass
        assert response.sequence == sequence
        return response

    async def ask(self, **request: Any) -> SessionResponse:
        return await self.answer_to(await self.say(**request))

    async def hello(self) -> SessionResponse:
        return await self.ask(hello=Hello(worker="w", deliveries=[DELIVERY_GATEWAY]))


async def test_a_session_borrows_and_gives_back(run: Run) -> None:
    async with run() as running:
        talk = Talk(running.client)
        welcome = (await talk.hello()).welcome
        assert (welcome.ttl.seconds, welcome.heartbeat.seconds) == (60, 20)
        acquired = (await talk.ask(acquire=AcquireLeaseRequest(tenant="a"))).acquired
        assert list(running.desk.ledger.loans) == [acquired.lease.lease_id]
        assert not acquired.lease.HasField("ttl")
        assert (await talk.ask(heartbeat=Heartbeat())).HasField("beat")
        ref = LeaseRef(lease_id=acquired.lease.lease_id)
        await talk.say(release=ReleaseLeaseRequest(lease=ref))
        assert (await talk.ask(goodbye=Goodbye())).HasField("farewell")
        assert not running.desk.ledger.loans
        await talk.call.done_writing()
        assert await talk.call.read() is grpc.aio.EOF


async def test_an_answer_that_takes_time_does_not_hold_up_others(run: Run) -> None:
    async with run(capacity=4) as running:
        talk = Talk(running.client)
        await talk.hello()
        leases = [
            (await talk.ask(acquire=AcquireLeaseRequest(tenant="a"))).acquired.lease
            for _ in range(2)
        ]
        waiting = await talk.say(acquire=AcquireLeaseRequest(tenant="a"))
        assert (await talk.ask(heartbeat=Heartbeat())).HasField("beat")
        ref = LeaseRef(lease_id=leases[0].lease_id)
        await talk.say(release=ReleaseLeaseRequest(lease=ref))
        answer = await talk.answer_to(waiting)
        assert answer.acquired.lease.lease_id != leases[0].lease_id
        talk.call.cancel()


async def test_a_refusal_is_a_message_and_the_session_goes_on(run: Run) -> None:
    async with run() as running:
        talk = Talk(running.client)
        await talk.hello()
        refused = (await talk.ask(acquire=AcquireLeaseRequest(tenant="nobody"))).refused
        assert type(from_status(refused)).__name__ == "UnknownTenant"
        assert (await talk.ask(heartbeat=Heartbeat())).HasField("beat")
        talk.call.cancel()


async def test_the_end_of_the_stream_is_no_goodbye(run: Run) -> None:
    async with run() as running:
        talk = Talk(running.client)
        await talk.hello()
        lease = (await talk.ask(acquire=AcquireLeaseRequest(tenant="a"))).acquired.lease
        talk.call.cancel()
        await wait_until_async(lambda: "streams: <Calls 0 of" in repr(running.rpc))
        assert list(running.desk.ledger.loans) == [lease.lease_id]


async def test_who_does_not_say_hello_first_is_refused_and_hung_up_on(run: Run) -> None:
    async with run() as running:
        talk = Talk(running.client)
        assert (await talk.ask(heartbeat=Heartbeat())).HasField("refused")
        assert await talk.call.read() is grpc.aio.EOF


async def test_who_says_nothing_is_hung_up_on(run: Run) -> None:
    async with run(startup_timeout=0.05) as running:
        talk = Talk(running.client)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await talk.call.read()
        assert reason_of(caught.value) == "BAD_REQUEST"


async def test_stopping_ends_the_streams_at_once_with_a_reason(run: Run) -> None:
    async with run() as running:
        talk = Talk(running.client)
        await talk.hello()
        async with asyncio.timeout(5):
            await running.rpc.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await talk.call.read()
        assert reason_of(caught.value) == "DRAINING"


async def test_stopping_waits_for_the_answer_that_is_being_written(run: Run) -> None:
    async with run() as running:
        talks = [Talk(running.client) for _ in range(20)]
        hellos = [asyncio.ensure_future(talk.hello()) for talk in talks]
        await asyncio.wait(hellos, return_when=asyncio.FIRST_COMPLETED)
        await running.rpc.stop()
        greeted = await asyncio.gather(*hellos, return_exceptions=True)
        reasons = set()
        for talk, welcome in zip(talks, greeted, strict=True):
            if isinstance(welcome, SessionResponse):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await talk.call.read()
                reasons.add(reason_of(caught.value))
        assert reasons == {"DRAINING"}


async def test_sessions_that_are_too_many_are_refused(run: Run) -> None:
    async with run(max_sessions=1) as running, channel(running.rpc.addresses[0]) as another:
        first = Talk(running.client)
        await first.hello()
        second = Talk(another)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await second.call.read()
        assert reason_of(caught.value) == "IDENTITY_LIMIT"
        first.call.cancel()


async def test_notices_come_without_being_asked_for(run: Run) -> None:
    async with run() as running:
        talk = Talk(running.client)
        await talk.hello()
        lease = (await talk.ask(acquire=AcquireLeaseRequest(tenant="a"))).acquired.lease
        running.desk.ledger.revoke("a/", 30.0, "maintenance")
        notice = (await talk.hear()).drain
        assert (notice.lease_id, notice.reason) == (lease.lease_id, "maintenance")
        talk.call.cancel()


async def test_who_does_not_read_is_hung_up_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantpool.service.stream._MOST_UNSENT", 5)
    async with run() as running:
        talk = Talk(running.client)
        await talk.hello()
        (worker,) = running.desk.sessions.workers.values()
        for _ in range(50):  # all at once: the stream has had no chance to send them
            worker.notify(SessionResponse(drain=DrainNotice(reason="maintenance")))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_all(talk)
        assert reason_of(caught.value) == "BAD_REQUEST"


async def read_all(talk: Talk) -> None:
    while await talk.call.read() is not grpc.aio.EOF:
        pass


# -- unary calls over the same desk ------------------------------------------------------------


async def test_a_lease_without_a_session_is_granted_seen_and_released(run: Run) -> None:
    async with run() as running:
        lease = (await running.client.acquire("a")).lease
        assert lease.ttl.seconds == 30
        assert lease.confirm_within.seconds == 30
        (seen,) = (await running.client.admin.ListLeases(ListLeasesRequest())).leases
        assert (seen.lease_id, seen.tenant, seen.identity) == (lease.lease_id, "a", "local")
        assert seen.backend_pid
        assert 0 < seen.expires_in.seconds <= 32
        request = ReleaseLeaseRequest(lease=LeaseRef(lease_id=lease.lease_id))
        for _ in range(2):  # releasing what has ended is no error
            await running.client.leases.ReleaseLease(request)
        assert not running.desk.ledger.loans


async def test_a_caller_learns_why_it_waited_before_its_deadline(run: Run) -> None:
    async with run() as running:
        for _ in range(2):
            await running.client.acquire("a")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.client.acquire("a", timeout=0.5)
        assert reason_of(caught.value) == "TENANT_LIMIT"


async def test_the_backend_of_a_lease_is_a_real_one(
    run: Run, postgres: EmbeddedPostgres, database: str
) -> None:
    async with run() as running:
        await running.client.acquire("a")
        (seen,) = (await running.client.admin.ListLeases(ListLeasesRequest())).leases
        with psycopg.connect(postgres.dsn()) as conn:
            query = "select datname from pg_stat_activity where pid = %s"
            assert conn.execute(query, [seen.backend_pid]).fetchone() == (database,)


async def test_a_stream_whose_identity_is_revoked_ends_with_the_reason(run: Run) -> None:
    async with run(drain_grace=30.0) as running:
        talk = Talk(running.client)
        await talk.hello()
        lease = (await talk.ask(acquire=AcquireLeaseRequest(tenant="a"))).acquired.lease
        known = make_settings_of_strangers(running.desk.rules.model_dump())
        running.guard.adopt(known)
        running.desk.adopt(known, running.guard.again)
        drain = (await talk.hear()).drain
        assert drain.lease_id == lease.lease_id
        assert "the session ends: user" in drain.reason
        refused = (await talk.ask(acquire=AcquireLeaseRequest(tenant="a"))).refused
        assert isinstance(from_status(refused), NotAuthenticated)
        await talk.say(release=ReleaseLeaseRequest(lease=LeaseRef(lease_id=lease.lease_id)))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await talk.call.read()
        assert isinstance(error_of(caught.value), NotAuthenticated)
        assert "the session ends" in str(caught.value.details())
        assert not running.desk.sessions.workers
