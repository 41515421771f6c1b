"""A limit on trial counts what it would have refused, and refuses nothing."""

from __future__ import annotations

from tenantpool.core.limits import CAP, MAX_LEASE, MAX_WAITING, RATE
from tenantpool.core.request import GRANTED, REVOKED, WAITING
from tests.core.driver import World, states


def test_a_cap_on_trial_delays_nobody_and_counts_what_is_lent_above_it() -> None:
    world = World()
    a = world.tenant("a", cap=2, overflow=1, trial=frozenset({CAP}))
    held = world.lease_all(5, a)
    assert states(held) == [GRANTED] * 5
    assert a.counters.would_refuse == {"TENANT_LIMIT": 2}
    assert a.over == 0


def test_put_in_force_it_shrinks_as_any_other() -> None:
    world = World()
    a = world.tenant("a", cap=2, trial=frozenset({CAP}))
    world.lease_all(5, a)
    world.change(a, trial=frozenset())
    assert a.over == 3
    assert len(world.recalls) == 5
    assert world.ask(a).state == WAITING


def test_more_may_wait_than_a_max_waiting_on_trial() -> None:
    world = World()
    a = world.tenant("a", cap=1, max_waiting=1, trial=frozenset({MAX_WAITING}))
    world.lease(a)
    assert states(world.ask_for(3, a)) == [WAITING] * 3
    assert a.counters.would_refuse == {"QUEUE_FULL": 2}


def test_a_rate_on_trial_counts_as_a_bucket_would() -> None:
    world = World()
    a = world.tenant("a", rate=1.0, burst=2, trial=frozenset({RATE}))
    world.ask_for(5, a)
    assert a.counters.would_refuse == {"RATE_LIMIT": 3}
    assert a.counters.refused == {}


def test_a_lease_that_is_held_for_too_long_is_counted_when_it_ends() -> None:
    world = World()
    a = world.tenant("a", max_lease=10.0, trial=frozenset({MAX_LEASE}))
    long, short = world.lease_all(2, a)
    world.run(5.0)
    world.give_back(short)
    world.run(10.0)
    world.sweep()
    assert long.state == GRANTED
    world.give_back(long)
    assert a.counters.would_refuse == {"MAX_LEASE": 1}


def test_other_limits_are_in_force_meanwhile() -> None:
    world = World()
    a = world.tenant("a", max_lease=10.0, trial=frozenset({CAP}))
    held = world.lease(a)
    world.run(20.0)
    world.sweep()
    assert held.state == REVOKED
    assert a.counters.would_refuse == {}
