"""What the desk promises of sessions, of what they park, and of their passes and tickets."""

from __future__ import annotations

import asyncio

import pytest

from tenantpool.core.slot import GONE, IDLE
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import (
    DatabaseLimit,
    IdentityLimit,
    LeaseEnded,
)
from tenantpool.gateway.exchange import WrongDatabase
from tenantpool.service import parking
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Identity
from tenantpool.service.loan import seconds
from tests.service.desks import (
    ME,
    Ear,
    Unplugged,
    begin,
    desk,
    is_there,
    make_settings,
    open_desk,
    ref,
    wanted,
)
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

__all__ = ["desk"]

pytestmark = on_latest


# -- sessions --------------------------------------------------------------------------------------


async def test_a_silent_worker_loses_its_leases(postgres: EmbeddedPostgres, database: str):
    settings = make_settings(postgres, database, session_ttl=0.1, lease_grace=0.05)
    async with open_desk(settings) as desk:
        worker = begin(desk)
        loan = await desk.acquire(worker, wanted())
        other = await desk.acquire(ME, wanted("b"))
        await wait_until_async(lambda: loan.lease_id not in desk.ledger.loans, what="the lapse")
        assert list(desk.ledger.loans) == [other.lease_id]
        assert not desk.sessions.workers
        with pytest.raises(LeaseEnded, match="was not heard of for too long"):
            desk.sessions.beat(worker)


async def test_a_silent_worker_that_never_had_a_lease_is_gone_too(
    postgres: EmbeddedPostgres, database: str
):
    settings = make_settings(postgres, database, session_ttl=0.1, lease_grace=0.05)
    async with open_desk(settings) as desk:
        begin(desk)
        await wait_until_async(lambda: not desk.sessions.workers, what="the lapse")


async def test_goodbye_waits_until_its_backends_are_gone(desk: Desk, postgres: EmbeddedPostgres):
    worker = begin(desk)
    loan = await desk.acquire(worker, wanted())
    slot, pid = loan.slot, loan.connected.pid
    assert slot is not None
    await desk.switchboard.dial(loan.lease_id, Unplugged(), "a", {})
    await desk.sessions.leave(worker)
    assert slot.state == GONE
    assert not is_there(postgres, pid)


async def test_goodbye_does_not_wait_for_what_was_never_used(desk: Desk):
    worker = begin(desk)
    loan = await desk.acquire(worker, wanted())
    slot = loan.slot
    async with asyncio.timeout(5.0):
        await desk.sessions.leave(worker)
    assert slot is not None
    assert slot.state == IDLE


async def test_sessions_are_limited_by_identity_and_in_all(
    postgres: EmbeddedPostgres, database: str
):
    async with open_desk(make_settings(postgres, database, max_sessions=2)) as desk:
        one = Identity("one", tenants=ME.tenants, max_sessions=1)
        begin(desk, identity=one)
        with pytest.raises(IdentityLimit, match="one may have 1 sessions"):
            begin(desk, identity=one)
        begin(desk)
        with pytest.raises(IdentityLimit, match="the service takes 2 sessions"):
            begin(desk)


async def test_whoever_may_have_parked_a_lease_is_asked_for_it_when_somebody_waits(desk: Desk):
    ear, busy = Ear(), begin(desk)
    parking = begin(desk, ear)
    held = await desk.acquire(parking, wanted())
    await desk.acquire(busy, wanted())
    assert not ear.heard
    waiting = asyncio.create_task(desk.acquire(busy, wanted()))
    await asyncio.sleep(0)
    (recall,) = ear.of("recall")
    assert (recall.database, recall.tenant) == ("main", "a")
    assert recall.quiet == seconds(desk.rules.recall_quiet)
    desk.ledger.release(ME, ref(held))
    assert (await waiting).lease_id in desk.ledger.loans


async def test_a_full_database_recalls_the_leases_of_all_tenants(
    postgres: EmbeddedPostgres, database: str
):
    async with open_desk(make_settings(postgres, database, capacity=1)) as desk:
        ear = Ear()
        await desk.acquire(begin(desk, ear), wanted("b"))
        with pytest.raises(DatabaseLimit):
            await desk.acquire(ME, wanted("a", timeout=seconds(0.05)))
        assert ear.of("recall")[0].tenant == ""


async def test_what_a_worker_has_parked_of_a_drained_tenant_is_asked_for_until_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parking, "_OUTDATED_QUIET", 0.01)
    ear, idle = Ear(), Ear()
    begin(desk, idle)
    held = [await desk.acquire(begin(desk, ear), wanted()) for _ in range(2)]
    drain = asyncio.create_task(held[0].shell.drain(held[0].tenant, 30.0))
    await wait_until_async(lambda: len(ear.of("recall")) > 4, what="more than one recall each")
    assert {recall.tenant for recall in ear.of("recall")} == {"a"}
    assert not idle.heard, "it has nothing"
    for loan in held:
        desk.ledger.release(ME, ref(loan))
    assert await drain
    asked = len(ear.heard)
    await asyncio.sleep(0.05)
    assert len(ear.heard) == asked


# -- passes ----------------------------------------------------------------------------------------


async def test_a_pass_takes_a_lease_for_every_connection(desk: Desk):
    worker = begin(desk)
    user = f"a@{worker.session_id}"
    assert desk.switchboard.secret_of(user) == desk.sessions.session_pass(worker)
    first = await desk.switchboard.dial(user, Unplugged(), "a", {})
    second = await desk.switchboard.dial(user, Unplugged(), "a", {})
    assert len({first.lease_id, second.lease_id} & desk.ledger.loans.keys()) == 2
    desk.switchboard.hang_up(first, clean=True)
    assert list(desk.ledger.loans) == [second.lease_id]


async def test_a_pass_first_takes_what_its_session_has_and_does_not_use(desk: Desk):
    worker = begin(desk)
    reserved = await desk.acquire(worker, wanted())
    assert await desk.switchboard.dial(f"a@{worker.session_id}", Unplugged(), "a", {}) is reserved


async def test_a_pass_ends_with_its_session(desk: Desk):
    worker = begin(desk)
    await desk.sessions.leave(worker)
    assert desk.switchboard.secret_of(f"a@{worker.session_id}") is None
    with pytest.raises(LeaseEnded):
        await desk.switchboard.dial(f"a@{worker.session_id}", Unplugged(), "a", {})


async def test_a_pass_leads_to_no_other_database_and_keeps_no_lease_then(desk: Desk):
    worker = begin(desk)
    user = f"a@{worker.session_id}"
    with pytest.raises(WrongDatabase):
        await desk.switchboard.dial(user, Unplugged(), "b", {})
    assert not desk.ledger.loans


async def test_a_ticket_leads_to_its_tenants_database_by_whichever_name(desk: Desk, database: str):
    for name in ("a", database, None):
        loan = await desk.acquire(ME, wanted())
        with pytest.raises(WrongDatabase, match='lead to database "postgres"') as caught:
            await desk.switchboard.dial(loan.lease_id, Unplugged(), "postgres", {})
        assert caught.value.hint == f'Leave the database out, or use "{database}" or "a".'
        await desk.switchboard.dial(loan.lease_id, Unplugged(), name or loan.lease_id, {})
        desk.ledger.release(ME, ref(loan))


async def test_a_ticket_is_valid_once(desk: Desk):
    loan = await desk.acquire(ME, wanted())
    await desk.switchboard.dial(loan.lease_id, Unplugged(), "a", {})
    assert desk.switchboard.secret_of(loan.lease_id) is None
    with pytest.raises(LeaseEnded, match="the ticket was used already"):
        await desk.switchboard.dial(loan.lease_id, Unplugged(), "a", {})
