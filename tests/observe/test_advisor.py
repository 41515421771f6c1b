"""Advice for whoever looks: the same as the manager's, and nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from tenantpool.manager.advice import Server
from tenantpool.manager.recent import Recent
from tenantpool.observe import advisor as module
from tenantpool.observe.advisor import Advisor

from .test_advice import measured


def advisor_of(recent: Sequence[Recent | None]) -> Advisor:
    """An advisor for whom the last minutes were like *recent*."""
    recorder = SimpleNamespace(recent=lambda now: iter(recent))
    shells = {"main": SimpleNamespace(server=Server("main", capacity=1_000_000))}
    manager: Any = SimpleNamespace(recorder=recorder, shells=shells)
    return Advisor(manager)


def busy(count: int) -> list[Recent]:
    """Every other one has to wait, and needs more than its cap."""
    return [measured(2, 6.0, f"t{n}", waited=1200.0 * (n % 2), peak=20) for n in range(count)]


async def test_each_tenant_is_told_what_is_for_it() -> None:
    counsel = await advisor_of(busy(4)).counsel()
    [advice] = counsel.advice
    assert (advice.setting, set(advice.tenants)) == ("tiers.basic.cap", {"t1", "t3"})
    [own] = counsel.of("t3")
    assert own.tenants == ("t3",)
    assert own.why == advice.why
    assert counsel.of("t2") == []


async def test_advice_rests_before_it_is_found_anew() -> None:
    recent = busy(4)
    advisor = advisor_of(recent)
    first = await advisor.counsel()
    assert await advisor.counsel() is first
    advisor._due = monotonic() - 1
    recent.clear()
    assert await advisor.counsel() is first, "who looks does not wait for the next"
    assert advisor._task is not None
    await advisor._task
    assert (await advisor.counsel()).advice == []
    advisor._due = monotonic() - module._TOO_OLD
    recent += busy(4)
    assert (await advisor.counsel()).advice, "advice of long ago is not shown"


async def test_with_many_tenants_others_go_on_meanwhile() -> None:
    asking = asyncio.create_task(advisor_of(busy(5000)).counsel())
    turns = 0
    while not asking.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 5000 / module._SLICE
    [advice] = asking.result().advice
    assert len(advice.tenants) == 2500


async def test_a_failure_is_logged_and_tried_again_later(caplog: pytest.LogCaptureFixture) -> None:
    advisor = advisor_of([None])
    assert (await advisor.counsel()).advice == ()
    assert "advice could not be found" in caplog.text
    assert advisor._task is None
    assert advisor._due > monotonic()


async def test_it_ends_with_the_service_while_it_looks() -> None:
    advisor = advisor_of(busy(5000))
    asking = asyncio.create_task(advisor.counsel())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await advisor.close()
    with pytest.raises(asyncio.CancelledError):
        await asking
