"""The section ``service`` changes while leases are out and sessions open."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from tenantpool.config import Override, Overrides, Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import (
    IdentityLimit,
    LeaseEnded,
    NotAllowed,
    NotAuthenticated,
    TenantSuspended,
)
from tenantpool.service.admission import Again
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Identity
from tenantpool.service.loan import seconds
from tenantpool.service.worker import Worker
from tenantpool.v1.lease_pb2 import DELIVERY_GATEWAY
from tests.service.desks import (
    ME,
    OTHER,
    Ear,
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


def knows(*identities: Identity) -> Again:
    """Rules under which only those are known."""
    by_name = {identity.name: identity for identity in identities}

    def again(identity: Identity) -> Identity:
        if identity.name not in by_name:
            raise NotAuthenticated("the token is not known here")
        return by_name[identity.name]

    return again


def adopt(desk: Desk, *identities: Identity, **rules: object) -> None:
    desk.adopt(desk.rules.model_copy(update=rules), knows(*identities))


class Line:
    """A stream of a session."""

    def __init__(self, worker: Worker) -> None:
        self.errors: list[str] = []
        worker.lines.add(self)

    def end(self, error: Exception) -> None:
        self.errors.append(str(error))


# -- who is not known any more ---------------------------------------------------------------------


async def test_a_revoked_session_has_the_grace_to_give_back_and_then_ends(desk: Desk):
    ear = Ear()
    worker = begin(desk, ear)
    line = Line(worker)
    loan = await desk.acquire(worker, wanted())
    adopt(desk, OTHER, drain_grace=60.0)
    (drain,) = ear.of("drain")
    assert (drain.lease_id, drain.drain_within) == (loan.lease_id, seconds(60.0))
    assert drain.reason == "the session ends: the token is not known here"
    with pytest.raises(NotAuthenticated, match="the session ends"):
        await desk.acquire(worker, wanted())
    assert not line.errors
    desk.ledger.release(ME, ref(loan))
    await wait_until_async(lambda: line.errors, what="the end of the session")
    assert line.errors[0] == "the session ends: the token is not known here"
    assert not desk.sessions.workers
    with pytest.raises(LeaseEnded):
        desk.sessions.beat(worker)


async def test_what_a_revoked_session_keeps_is_cut_after_the_grace(
    desk: Desk, postgres: EmbeddedPostgres
):
    ear = Ear()
    worker = begin(desk, ear)
    line = Line(worker)
    loan = await desk.acquire(worker, wanted())
    pid = loan.connected.pid
    desk.ledger.used(loan)
    loan.delivery = DELIVERY_GATEWAY
    adopt(desk, drain_grace=0.05)
    await wait_until_async(lambda: line.errors, what="the cut")
    assert [ended.lease_id for ended in ear.of("ended")] == [loan.lease_id]
    await wait_until_async(lambda: not is_there(postgres, pid), what="the end of the backend")


async def test_a_revoked_session_without_leases_ends_at_once(desk: Desk):
    worker = begin(desk)
    line = Line(worker)
    adopt(desk, OTHER)
    assert len(line.errors) == 1
    assert not desk.sessions.workers


async def test_a_revoked_session_is_joined_no_more(desk: Desk):
    worker = begin(desk)
    await desk.acquire(worker, wanted())
    session_pass = desk.sessions.session_pass(worker)
    adopt(desk)
    with pytest.raises(NotAuthenticated, match="the session ends"):
        desk.sessions.join(session_pass)


async def test_an_identity_that_comes_back_within_the_grace_goes_on(desk: Desk):
    worker = begin(desk)
    loan = await desk.acquire(worker, wanted())
    adopt(desk, OTHER, drain_grace=60.0)
    adopt(desk, ME)
    desk.ledger.release(ME, ref(loan))
    await asyncio.sleep(0)
    desk.ledger.release(ME, ref(await desk.acquire(worker, wanted())))
    assert list(desk.sessions.workers.values()) == [worker]


async def test_a_lease_without_a_session_of_a_revoked_identity_ends_after_the_grace(desk: Desk):
    mine, others = await desk.acquire(ME, wanted()), await desk.acquire(OTHER, wanted("b"))
    adopt(desk, OTHER, drain_grace=0.05)
    await wait_until_async(lambda: mine.lease_id not in desk.ledger.loans, what="the cut")
    assert others.lease_id in desk.ledger.loans


async def test_one_who_waited_while_it_was_revoked_gets_nothing(desk: Desk):
    held = [await desk.acquire(OTHER, wanted()) for _ in range(2)]
    waiting = asyncio.create_task(desk.acquire(ME, wanted()))
    await wait_until_async(lambda: held[0].tenant.queue, what="the wait")
    adopt(desk, OTHER)
    desk.ledger.release(OTHER, ref(held[0]))
    with pytest.raises(NotAuthenticated):
        await waiting
    assert desk.admission.taken(ME) == 0
    await desk.acquire(OTHER, wanted())  # the connection is there for others


# -- who may less ----------------------------------------------------------------------------------


async def test_leases_of_tenants_that_are_not_allowed_any_more_are_wanted_back(desk: Desk):
    ear = Ear()
    worker = begin(desk, ear)
    gone, kept = await desk.acquire(worker, wanted("a")), await desk.acquire(worker, wanted("b"))
    adopt(desk, replace(ME, tenants=re.compile("b")), drain_grace=0.05)
    (drain,) = ear.of("drain")
    assert drain.lease_id == gone.lease_id
    assert drain.reason == "me may not lease connections of 'a'"
    with pytest.raises(NotAllowed):
        await desk.acquire(worker, wanted("a"))
    await wait_until_async(lambda: gone.lease_id not in desk.ledger.loans, what="the cut")
    assert kept.lease_id in desk.ledger.loans
    assert list(desk.sessions.workers.values()) == [worker]


async def test_one_who_may_not_lease_any_more_has_no_session_any_more(desk: Desk):
    worker = begin(desk)
    line = Line(worker)
    adopt(desk, replace(ME, can_lease=False))
    assert line.errors == ["the session ends: me may not lease any more"]


async def test_a_lower_limit_of_an_identity_holds_for_what_it_asks_for_next(desk: Desk):
    worker = begin(desk)
    loans = [await desk.acquire(worker, wanted()) for _ in range(2)]
    adopt(desk, replace(ME, max_leases=1))
    with pytest.raises(IdentityLimit):
        await desk.acquire(worker, wanted("b"))
    assert all(loan.lease_id in desk.ledger.loans for loan in loans)


# -- times and limits ------------------------------------------------------------------------------


async def test_new_leases_live_as_the_new_rules_say(desk: Desk):
    adopt(desk, ME, lease_ttl=7.0, lease_ttl_max=9.0)
    loan = await desk.acquire(ME, wanted())
    assert loan.tenure is not None
    assert loan.tenure.ttl == 7.0
    (renewal,) = desk.ledger.renew(ME, [ref(loan)], 100.0)
    assert renewal.ttl == seconds(9.0)


async def test_an_open_session_lives_no_shorter_than_it_was_told(desk: Desk):
    worker = begin(desk)
    adopt(desk, ME, session_ttl=2.0)
    assert (worker.ttl, worker.attendance.ttl) == (60.0, 60.2)
    assert begin(desk).ttl == 2.0
    adopt(desk, ME, session_ttl=90.0)
    assert worker.ttl == 90.0


async def test_a_lower_number_of_sessions_ends_none(postgres: EmbeddedPostgres, database: str):
    async with open_desk(make_settings(postgres, database)) as desk:
        begin(desk)
        adopt(desk, ME, max_sessions=1)
        with pytest.raises(IdentityLimit, match="max_sessions"):
            begin(desk)
        assert len(desk.sessions.workers) == 1


async def test_a_session_that_is_over_gets_no_lease(desk: Desk):
    worker = begin(desk)
    await desk.sessions.leave(worker)
    with pytest.raises(LeaseEnded, match="the session has ended"):
        await desk.acquire(worker, wanted())


# -- limits of tenants -----------------------------------------------------------------------------


async def lower(desk: Desk, **tier: object) -> None:
    """Let these be the limits of all tenants."""
    settings = desk._manager.settings
    values = settings.model_dump(exclude={"tiers"}, exclude_unset=True)
    basic = {**settings.tiers["basic"].model_dump(exclude_unset=True), **tier}
    values["tenants"] = {name: {"dbname": t.dbname} for name, t in settings.tenants.items()}
    await desk._manager.apply(Settings(**values, tiers={"basic": basic}))


async def test_holders_above_a_lower_cap_are_told_and_the_youngest_ends(desk: Desk):
    ear = Ear()
    worker = begin(desk, ear)
    old, young = [await desk.acquire(worker, wanted()) for _ in range(2)]
    await lower(desk, cap=1, shrink="terminate", shrink_grace=0.2)
    drains = ear.of("drain")
    assert {drain.lease_id for drain in drains} == {old.lease_id, young.lease_id}
    assert all(drain.drain_within.ToMilliseconds() <= 200 for drain in drains)
    await wait_until_async(lambda: young.lease_id not in desk.ledger.loans, what="the end")
    (ended,) = ear.of("ended")
    assert (ended.lease_id, ended.reason) == (young.lease_id, drains[0].reason)
    assert old.lease_id in desk.ledger.loans


async def test_a_holder_without_a_session_hears_it_when_it_renews(desk: Desk):
    loans = [await desk.acquire(ME, wanted()) for _ in range(2)]
    await lower(desk, cap=1, shrink="recall", shrink_grace=9.0)
    for renewal in desk.ledger.renew(ME, [ref(loan) for loan in loans], None):
        assert 8000 < renewal.drain_within.ToMilliseconds() <= 9000
        assert renewal.ttl.ToSeconds() == 30


async def test_a_suspended_tenant_is_asked_for_its_leases_with_the_reason(desk: Desk):
    ear = Ear()
    loan = await desk.acquire(begin(desk, ear), wanted())
    override = Override("a", None, True, None, "ops", "runs wild", 0.0, "abc123")
    await desk._manager.apply(overrides=Overrides([override]))
    (drain,) = ear.of("drain")
    assert drain.lease_id == loan.lease_id
    assert "runs wild" in drain.reason
    with pytest.raises(TenantSuspended, match="runs wild"):
        await desk.acquire(ME, wanted())
