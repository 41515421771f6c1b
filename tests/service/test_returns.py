"""A return goes behind requests, except where somebody needs what comes back."""

from __future__ import annotations

import pytest

from tenantpool.core.request import GRANTED, RETURNED
from tenantpool.core.slot import IDLE, IN_USE
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.service.desk import Desk
from tests.service.desks import ME, begin, desk, is_there, make_settings, open_desk, ref, wanted
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

__all__ = ["desk"]

pytestmark = on_latest


async def test_nobody_waits_for_a_return_that_is_not_needed(desk: Desk):
    first, second = [await desk.acquire(ME, wanted()) for _ in range(2)]
    slot = second.slot
    desk.ledger.release(ME, ref(second))
    await wait_until_async(lambda: slot is not None and slot.state == IDLE, what="the return")
    assert second.state == RETURNED

    slot = first.slot
    assert slot is not None
    desk.ledger.release(ME, ref(first))
    assert not desk.ledger.loans
    assert slot.state == IN_USE
    assert desk.ask(ME, wanted()).lease_id
    assert first.state == GRANTED
    await wait_until_async(lambda: slot.state == IDLE, what="the return")
    assert first.state == RETURNED


async def test_it_is_carried_out_while_the_next_lease_is_used(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    first, second = [await desk.acquire(ME, wanted()) for _ in range(2)]
    slot = second.slot
    desk.ledger.release(ME, ref(second))
    await wait_until_async(lambda: slot is not None and slot.state == IDLE, what="the return")

    monkeypatch.setattr("tenantpool.manager._async.shell._RETURN_DELAY", 3600.0)
    desk.ledger.release(ME, ref(first))
    assert desk.ask(ME, wanted()).slot is slot
    assert first.state == GRANTED
    await wait_until_async(lambda: first.state == RETURNED, what="the other return")


async def test_what_came_back_is_there_for_a_request_that_needs_it(desk: Desk):
    held, returned = [await desk.acquire(ME, wanted()) for _ in range(2)]
    slot = returned.slot
    desk.ledger.release(ME, ref(returned))
    assert desk.ask(ME, wanted()).slot is slot
    assert held.state == GRANTED


async def test_it_does_not_wait_where_somebody_waits(desk: Desk):
    first, _ = [await desk.acquire(ME, wanted()) for _ in range(2)]
    waiting = desk.ask(ME, wanted())
    assert not waiting.lease_id
    slot = first.slot
    desk.ledger.release(ME, ref(first))
    assert first.state == RETURNED
    assert waiting.slot is slot
    await desk.settle(waiting, wanted())


@pytest.mark.parametrize("broken", [False, True])
async def test_none_is_forgotten_at_the_end(
    broken: bool, postgres: EmbeddedPostgres, database: str
):
    async with open_desk(make_settings(postgres, database)) as desk:
        worker = begin(desk)
        loan = await desk.acquire(worker, wanted())
        pid = loan.connected.pid
        desk.ledger.release(ME, ref(loan), broken=broken)
    assert not is_there(postgres, pid)
