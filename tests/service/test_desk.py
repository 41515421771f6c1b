"""What the desk promises of leases, whatever carries the messages."""

from __future__ import annotations

import asyncio

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import (
    BadRequest,
    Draining,
    IdentityLimit,
    LeaseEnded,
    NotAllowed,
    RequestConflict,
    StaleToken,
    TenantLimit,
    UnknownTenant,
)
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Identity
from tenantpool.service.loan import Loan, seconds
from tenantpool.v1.lease_pb2 import DELIVERY_HAND_OFF, Lease, LeaseRef
from tests.service.desks import (
    ME,
    OTHER,
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


def said(desk: Desk, loan: Loan) -> Lease:
    lease = Lease()
    desk.say(loan, lease)
    return lease


# -- acquire ---------------------------------------------------------------------------------------


async def test_a_grant_says_how_to_reach_it_and_how_long_it_lives(desk: Desk, database: str):
    loan = await desk.acquire(ME, wanted(ttl=seconds(12.5)))
    lease = said(desk, loan)
    assert lease.lease_id == f"a/me/{lease.fencing_token}"
    assert lease.ttl == seconds(12.5)
    assert lease.confirm_within == seconds(12.5)
    assert (lease.gateway.user, lease.gateway.dbname) == (lease.lease_id, database)
    assert desk.switchboard.secret_of(lease.lease_id) == lease.gateway.ticket


async def test_a_lease_of_a_session_lives_as_long_as_that(desk: Desk):
    lease = said(desk, await desk.acquire(begin(desk), wanted()))
    assert not lease.HasField("ttl")
    assert not lease.HasField("confirm_within")


async def test_a_repeated_request_id_gets_the_same_lease(desk: Desk):
    first = await desk.acquire(ME, wanted(request_id="r1"))
    assert await desk.acquire(ME, wanted(request_id="r1")) is first
    assert await desk.acquire(OTHER, wanted(request_id="r1")) is not first


async def test_a_repeat_in_another_session_takes_the_lease_there(desk: Desk):
    before, after = begin(desk), begin(desk)
    loan = await desk.acquire(before, wanted(request_id="r1"))
    assert await desk.acquire(after, wanted(request_id="r1")) is loan
    await desk.sessions.leave(before)
    assert (before.leases, after.leases) == (0, 1)
    await desk.sessions.leave(after)
    assert not desk.ledger.loans


async def test_a_repeat_while_the_first_still_waits_joins_it(desk: Desk):
    held = [await desk.acquire(ME, wanted()) for _ in range(2)]
    first = asyncio.create_task(desk.acquire(ME, wanted(request_id="r1")))
    repeat = asyncio.create_task(desk.acquire(ME, wanted(request_id="r1")))
    await asyncio.sleep(0)
    desk.ledger.release(ME, ref(held[0]))
    assert await first is await repeat


async def test_a_caller_that_hung_up_finds_its_lease_by_the_request_id(desk: Desk):
    held = [await desk.acquire(ME, wanted()) for _ in range(2)]
    first = asyncio.create_task(desk.acquire(ME, wanted(request_id="r1")))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    desk.ledger.release(ME, ref(held[0]))
    await wait_until_async(lambda: len(desk.ledger.loans) == 2, what="the grant")
    repeat = await desk.acquire(ME, wanted(request_id="r1"))
    assert repeat.lease_id in desk.ledger.loans


async def test_a_request_id_for_another_request_is_a_conflict(desk: Desk):
    await desk.acquire(ME, wanted(request_id="r1"))
    with pytest.raises(RequestConflict, match="'r1' was used for another request"):
        await desk.acquire(ME, wanted("b", request_id="r1"))


async def test_a_request_id_whose_lease_has_ended_says_so(desk: Desk):
    loan = await desk.acquire(ME, wanted(request_id="r1"))
    desk.ledger.release(ME, ref(loan))
    with pytest.raises(LeaseEnded, match="the lease of this request_id has ended"):
        await desk.acquire(ME, wanted(request_id="r1"))


async def test_a_refused_request_id_may_be_tried_again(desk: Desk):
    held = [await desk.acquire(ME, wanted()) for _ in range(2)]
    with pytest.raises(TenantLimit):
        await desk.acquire(ME, wanted(request_id="r1", timeout=seconds(0)))
    desk.ledger.release(ME, ref(held[0]))
    assert (await desk.acquire(ME, wanted(request_id="r1", timeout=seconds(0)))).lease_id


async def test_the_answer_comes_before_the_caller_gives_up(desk: Desk):
    for _ in range(2):
        await desk.acquire(ME, wanted())
    with pytest.raises(TenantLimit) as caught:
        await desk.acquire(ME, wanted(timeout=seconds(60)), within=0.15)
    assert caught.value.waited < 5.0
    assert caught.value.holders == {"a": 2}


async def test_a_cancelled_request_leaves_nothing(desk: Desk):
    held = [await desk.acquire(ME, wanted()) for _ in range(2)]
    waiting = asyncio.create_task(desk.acquire(ME, wanted()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    for loan in held:
        desk.ledger.release(ME, ref(loan))
    assert not desk.ledger.loans
    assert desk.admission.taken(ME) == 0


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"request_id": "x" * 65}, "request_id has more than 64 characters"),
        ({"purpose": "x" * 129}, "purpose has more than 128 characters"),
        ({"timeout": seconds(-1)}, "timeout is negative"),
        ({"ttl": seconds(-1)}, "ttl is negative"),
    ],
)
async def test_what_makes_no_sense_is_refused(desk: Desk, fields, problem: str):
    with pytest.raises(BadRequest, match=problem):
        await desk.acquire(ME, wanted(**fields))
    assert desk.admission.taken(ME) == 0


async def test_a_socket_is_only_handed_to_who_can_take_it(desk: Desk):
    able = desk.sessions.begin(ME, "able", [DELIVERY_HAND_OFF], Ear())
    hand_off = wanted(delivery=DELIVERY_HAND_OFF)
    assert (await desk.acquire(able, hand_off)).lease_id
    for caller in (begin(desk), ME):
        with pytest.raises(BadRequest, match="on the Unix channel"):
            await desk.acquire(caller, hand_off)
    assert desk.admission.taken(ME) == 1


async def test_unknown_tenants_are_refused(desk: Desk):
    with pytest.raises(UnknownTenant):
        await desk.acquire(ME, wanted("nobody"))
    assert desk.admission.taken(ME) == 0


async def test_an_identity_gets_only_its_tenants(desk: Desk):
    import re

    narrow = Identity("narrow", tenants=re.compile("b"))
    assert (await desk.acquire(narrow, wanted("b"))).lease_id
    with pytest.raises(NotAllowed, match="narrow may not lease connections of 'a'"):
        await desk.acquire(narrow, wanted("a"))


async def test_an_identity_holds_no_more_leases_than_it_may(desk: Desk):
    few = Identity("few", tenants=ME.tenants, max_leases=1)
    loan = await desk.acquire(few, wanted())
    with pytest.raises(IdentityLimit, match="few may hold 1 leases"):
        await desk.acquire(few, wanted())
    desk.ledger.release(few, ref(loan))
    assert (await desk.acquire(few, wanted())).lease_id


# -- release and renew -----------------------------------------------------------------------------


async def test_a_connection_that_nobody_touched_is_lent_on_as_it_is(desk: Desk):
    first = await desk.acquire(ME, wanted())
    pid = first.connected.pid
    desk.ledger.release(ME, ref(first))
    assert (await desk.acquire(ME, wanted())).connected.pid == pid


async def test_releasing_what_has_ended_is_no_error(desk: Desk):
    loan = await desk.acquire(ME, wanted())
    desk.ledger.release(ME, ref(loan))
    desk.ledger.release(ME, ref(loan))
    desk.ledger.release(ME, LeaseRef(lease_id="never/was/1"))


async def test_a_stale_token_ends_nothing(desk: Desk):
    loan = await desk.acquire(ME, wanted())
    with pytest.raises(StaleToken):
        desk.ledger.release(ME, ref(loan, loan.token + 1))
    assert loan.lease_id in desk.ledger.loans
    desk.ledger.release(ME, ref(loan, loan.token))


async def test_nobody_releases_or_renews_the_leases_of_others(desk: Desk):
    loan = await desk.acquire(ME, wanted())
    desk.ledger.release(OTHER, ref(loan))
    assert loan.lease_id in desk.ledger.loans
    (renewal,) = desk.ledger.renew(OTHER, [ref(loan)], None)
    assert renewal.error.reason == "LEASE_EXPIRED"


async def test_each_renewal_answers_for_itself(desk: Desk):
    loan = await desk.acquire(ME, wanted())
    answers = desk.ledger.renew(
        ME, [ref(loan), LeaseRef(lease_id="x/y/1"), ref(loan, 999)], seconds(7).seconds
    )
    assert [answer.error.reason for answer in answers] == ["", "LEASE_EXPIRED", "STALE_TOKEN"]
    assert answers[0].ttl == seconds(7)


async def test_too_many_renewals_at_once_are_refused(desk: Desk):
    with pytest.raises(BadRequest, match="1001 leases in one request, at most 1000"):
        desk.ledger.renew(ME, [LeaseRef()] * 1001, None)


# -- the end ---------------------------------------------------------------------------------------


async def test_a_grant_that_nobody_confirms_is_taken_back(
    postgres: EmbeddedPostgres, database: str
):
    async with open_desk(make_settings(postgres, database, confirm_within=0.05)) as desk:
        loan = await desk.acquire(ME, wanted())
        await wait_until_async(lambda: not desk.ledger.loans, what="the end")
        assert loan.slot is None
        assert desk.switchboard.secret_of(loan.lease_id) is None


async def test_a_lease_that_runs_out_ends_its_backend_before_its_slot_is_lent_again(
    postgres: EmbeddedPostgres, database: str
):
    settings = make_settings(postgres, database, capacity=1, lease_ttl=0.1, lease_grace=0.05)
    async with open_desk(settings) as desk:
        loan = await desk.acquire(ME, wanted())
        pid = loan.connected.pid
        await desk.switchboard.dial(loan.lease_id, Unplugged(), "a", {})
        later = await desk.acquire(ME, wanted())
        assert later.connected.pid != pid
        assert not is_there(postgres, pid)


async def test_revoke_takes_leases_by_prefix(desk: Desk):
    ear = Ear()
    worker = begin(desk, ear)
    a, b = await desk.acquire(worker, wanted("a")), await desk.acquire(worker, wanted("b"))
    assert desk.ledger.revoke("a/", 0.0, "maintenance") == 1
    assert list(desk.ledger.loans) == [b.lease_id]
    assert [(n.lease_id, n.reason) for n in ear.of("ended")] == [(a.lease_id, "maintenance")]


async def test_revoke_tells_first_and_cuts_later(desk: Desk, postgres: EmbeddedPostgres):
    ear = Ear()
    loan = await desk.acquire(begin(desk, ear), wanted())
    pid = loan.connected.pid
    await desk.switchboard.dial(loan.lease_id, Unplugged(), "a", {})
    desk.ledger.revoke("", 0.05, "maintenance")
    (notice,) = ear.of("drain")
    assert (notice.lease_id, notice.reason) == (loan.lease_id, "maintenance")
    assert loan.lease_id in desk.ledger.loans
    await wait_until_async(lambda: not desk.ledger.loans, what="the cut")
    await wait_until_async(lambda: not is_there(postgres, pid), what="the end of the backend")


async def test_a_tier_with_a_longest_lease_ends_it_for_its_holder_too(
    postgres: EmbeddedPostgres, database: str
):
    settings = make_settings(postgres, database)
    tiers = {"basic": {"cap": 2, "min_size": 0, "max_lease": 0.1}}
    settings = type(settings)(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 4}},
        tiers=tiers,
        tenants={"a": {"dbname": database}},
        template={"enabled": False},
        sweep_interval=0.05,
    )
    async with open_desk(settings) as desk:
        ear = Ear()
        loan = await desk.acquire(begin(desk, ear), wanted())
        await wait_until_async(lambda: ear.of("ended"), what="the notice")
        assert ear.of("ended")[0].lease_id == loan.lease_id
        assert not desk.ledger.loans


async def test_closing_tells_everybody_and_counts_what_was_not_given_back(
    postgres: EmbeddedPostgres, database: str
):
    ear = Ear()
    async with open_desk(make_settings(postgres, database)) as desk:
        worker = begin(desk, ear)
        kept, returned = [await desk.acquire(worker, wanted()) for _ in range(2)]
        waiting = asyncio.create_task(desk.acquire(worker, wanted()))
        await asyncio.sleep(0)
        closing = asyncio.create_task(desk.close(0.2))
        await asyncio.sleep(0)
        assert ear.of("drain")[0].reason == "the service is closing"
        with pytest.raises(Draining):
            await desk.acquire(worker, wanted())
        with pytest.raises(Draining):
            await waiting
        desk.ledger.release(ME, ref(returned))
        assert await closing == 1
        assert [n.lease_id for n in ear.of("ended")] == [kept.lease_id]


async def test_closing_does_not_wait_when_nothing_is_lent(
    postgres: EmbeddedPostgres, database: str
):
    async with open_desk(make_settings(postgres, database)) as desk:
        assert await desk.close(3600.0) == 0
