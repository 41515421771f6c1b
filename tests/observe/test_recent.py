"""The last minutes of tenants, on a fake clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tenantpool.core.database import Database
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason
from tenantpool.manager.recent import Recent, Recorder
from tests.core.driver import World


class Shell:
    """A core that nobody else steps."""

    def __init__(self, core: Database) -> None:
        self.core = core

    @property
    @contextmanager
    def lock(self) -> Iterator[None]:
        yield


class Watched:
    """A world whose tenants are recorded."""

    def __init__(self) -> None:
        self.world = World()
        self.recorder = Recorder({"main": Shell(self.world.db)})

    def work(self, tenant: Tenant, seconds: int, held: float) -> None:
        """One lease a second, held for so long."""
        for _ in range(seconds):
            lease = self.world.lease(tenant)
            self.world.run(held)
            self.world.give_back(lease)
            self.world.run(1.0 - held)
            self.recorder.sweep(self.world.now)

    def recent(self) -> Recent:
        [found] = self.recorder.recent(self.world.now)
        return found


def test_the_last_minutes_count_and_not_what_was_before() -> None:
    watched = Watched()
    tenant = watched.world.tenant("acme")
    watched.work(tenant, 600, 0.9)
    watched.work(tenant, 400, 0.25)
    recent = watched.recent()
    assert 240 <= recent.seconds <= 310
    assert recent.arrivals == pytest.approx(1.0, rel=0.02)
    assert recent.hold_mean == pytest.approx(0.25, rel=0.02)
    assert recent.needed == pytest.approx(0.25, rel=0.02)
    assert (recent.tenant, recent.database, recent.peak) == ("acme", "main", 1)


def test_a_lease_that_has_not_ended_counts_for_as_long_as_it_was_held() -> None:
    watched = Watched()
    tenant = watched.world.tenant("acme")
    watched.work(tenant, 60, 0.1)
    watched.world.lease(tenant)
    before = watched.recent().held
    watched.world.run(100)
    assert watched.recent().held == pytest.approx(before + 100)


def test_refusals_and_waits_are_those_of_the_last_minutes() -> None:
    watched = Watched()
    world = watched.world
    tenant = world.tenant("acme", cap=1, max_waiting=1)
    watched.work(tenant, 120, 0.1)
    lease = world.lease(tenant)
    waiter = world.ask(tenant)
    world.refusal(tenant)
    world.run(3.0)
    world.give_back(lease)
    recent = watched.recent()
    assert recent.refused == {Reason.QUEUE_FULL: 1}
    assert recent.refusal_rate == 1 / recent.requests
    assert recent.waited == pytest.approx(3.0, abs=0.1)
    world.give_back(waiter)


def test_refusals_that_an_operator_wanted_do_not_count() -> None:
    watched = Watched()
    tenant = watched.world.tenant("acme")
    watched.work(tenant, 60, 0.1)
    watched.world.perform(watched.world.db.drain(watched.world.now, tenant))
    watched.world.refusal(tenant)
    assert watched.recent().refused == {}


def test_what_is_needed_includes_who_was_refused() -> None:
    watched = Watched()
    world = watched.world
    tenant = world.tenant("acme", cap=1, max_waiting=1)
    watched.work(tenant, 1, 0.5)
    for _ in range(120):
        leases = [world.ask(tenant) for _ in range(4)]
        world.run(0.5)
        world.give_back(leases[0])
        world.run(0.5)
        world.give_back(leases[1])
        watched.recorder.sweep(world.now)
    recent = watched.recent()
    assert recent.leases / recent.requests == pytest.approx(0.5, rel=0.1)
    assert recent.needed == pytest.approx(2.0, rel=0.1)


def test_tenants_that_were_not_active_are_forgotten() -> None:
    watched = Watched()
    tenant = watched.world.tenant("acme")
    watched.work(tenant, 60, 0.1)
    watched.world.run(700)
    watched.recorder.sweep(watched.world.now)
    assert list(watched.recorder.recent(watched.world.now)) == []
    assert repr(watched.recorder) == "<Recorder 0 tenants>"


def test_many_tenants_are_looked_at_some_at_a_time() -> None:
    watched = Watched()
    world = watched.world
    for number in range(500):
        world.tenant(f"t{number}").last_used = world.now
    sizes = []
    for _ in range(4):
        watched.recorder.sweep(world.now)
        sizes.append(repr(watched.recorder))
    assert sizes == [f"<Recorder {n} tenants>" for n in (200, 400, 500, 500)]


def test_a_tenants_counters_may_begin_anew() -> None:
    watched = Watched()
    world = watched.world
    watched.work(world.tenant("acme"), 60, 0.1)
    world.run(2000)
    world.sweep()
    watched.work(world.tenant("acme"), 5, 0.1)
    assert all(recent.requests >= 0 for recent in watched.recorder.recent(world.now))
