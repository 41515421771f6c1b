"""Rule 6: every request ends exactly once, whatever is said about it and when."""

from __future__ import annotations

import pytest

from tenantpool.core.request import (
    CANCELLED,
    GRANTED,
    REFUSED,
    RETURNED,
    REVOKED,
    WAITING,
    Request,
)
from tests.core.driver import World, states

EVENTS = ["cancel", "expire", "release", "revoke", "replace"]

OUTCOME = {
    WAITING: [CANCELLED, REFUSED, WAITING, WAITING, WAITING],
    GRANTED: [RETURNED, GRANTED, RETURNED, REVOKED, WAITING],
    REFUSED: [REFUSED] * 5,
    CANCELLED: [CANCELLED] * 5,
    RETURNED: [RETURNED] * 5,
    REVOKED: [REVOKED] * 5,
}
"""What becomes of a request in each state with each of the events above."""


def a_request(world: World, state: str) -> Request:
    """One in that state."""
    request = world.ask(world.tenant("a"))
    if state in (GRANTED, RETURNED, REVOKED):
        world.settle()
    event = {RETURNED: "release", REVOKED: "revoke", CANCELLED: "cancel", REFUSED: "expire"}
    if state in event:
        world.perform(getattr(world.db, event[state])(world.now, request))
        world.settle()
    assert request.state == state
    return request


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", OUTCOME)
def test_what_an_event_makes_of_a_request(state: str, event: str) -> None:
    world = World()
    request = a_request(world, state)
    answers = len(world.answered)
    actions = getattr(world.db, event)(world.now, request)
    world.perform(actions)
    assert request.state == OUTCOME[state][EVENTS.index(event)]
    told = (state, event) in {(WAITING, "expire"), (GRANTED, "revoke")}
    assert len(world.answered) - answers == told
    if state not in (WAITING, GRANTED):
        assert actions == (), "said of a request that has ended, and not ignored"
    assert (request.slot is not None) == (request.state == GRANTED)
    assert (request.error is not None) == (request.state == REFUSED)


def test_who_waited_is_answered_once_and_who_did_not_is_not() -> None:
    world = World()
    a = world.tenant("a")
    waited = world.ask(a)
    world.settle()
    world.give_back(waited)
    world.ask(a)
    assert world.answered == [waited]


def test_a_request_that_gave_up_leaves_the_queue_to_the_others() -> None:
    world = World()
    a = world.tenant("a", cap=1)
    held = world.lease(a)
    cancelled, expired, patient = world.ask_for(3, a)
    world.cancel(cancelled)
    world.expire(expired)
    world.give_back(held)
    assert states([cancelled, expired, patient]) == [CANCELLED, REFUSED, GRANTED]


def test_an_expiry_that_comes_too_late_takes_nothing_away() -> None:
    world = World()
    request = world.lease(world.tenant("a"))
    world.perform(world.db.expire(world.now, request))
    assert request.state == GRANTED


def test_every_end_is_counted() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_waiting=1)
    held = world.lease(a)
    waiting = world.ask(a)
    world.refusal(a)
    world.run(2.0)
    world.expire(waiting)
    world.give_back(held)
    counters = a.counters
    assert (counters.requests, counters.leases, counters.refused.total()) == (3, 1, 2)
    assert counters.held == pytest.approx(2.0, abs=0.01)
    assert counters.waits.count == 1
