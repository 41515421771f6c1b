"""Leases that last too long, and transactions in which nothing happens, by a clock of the test."""

from __future__ import annotations

import pytest

from tenantpool.insight import Finding, Options
from tenantpool.insight.lookout import Lookout, Sight


class Lease:
    holder = "a.py:1 in f"
    held = 0.0


class Scene:
    """One lease that is looked at."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.lookout = Lookout(Options(long_lease=60, idle_in_transaction=10), self.found.append)
        self.lease = Lease()

    def look(self, now: float, *, idle: bool, last: float = 0.0) -> list[str]:
        """The kinds that are found at *now*."""
        before = len(self.found)
        self.lookout.look(now, [Sight(self.lease, "acme", idle, last)])
        return [finding.kind for finding in self.found[before:]]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_long_lease_is_found_once(scene: Scene):
    found = []
    for held in (0.0, 59.9, 60.0, 61.0, 500.0):
        scene.lease.held = held
        found.append(scene.look(held, idle=False))
    assert found == [[], [], ["long lease"], [], []]
    [finding] = scene.found
    assert (finding.tenant, finding.place, finding.seconds) == ("acme", "a.py:1 in f", 60.0)
    assert "held for 60 s" in finding.what


def test_another_lease_is_found_again(scene: Scene):
    scene.lease.held = 61.0
    assert scene.look(0, idle=False) == ["long lease"]
    scene.lease = Lease()
    scene.lease.held = 61.0
    assert scene.look(1, idle=False) == ["long lease"]
    scene.lookout.look(2, [])
    assert repr(scene.lookout) == "<Lookout over 0 leases>"


def test_idle_in_transaction_is_found_once_for_each_time(scene: Scene):
    assert [scene.look(now, idle=True, last=5) for now in (5, 14, 15, 25)] == [
        [], [], ["idle in transaction"], []
    ]  # fmt: skip
    assert [scene.look(now, idle=True, last=26) for now in (26, 36)] == [
        [], ["idle in transaction"]
    ]  # fmt: skip


def test_it_is_idle_only_while_nothing_was_run(scene: Scene):
    assert not any(scene.look(now, idle=True, last=now) for now in range(0, 100, 5))


def test_a_transaction_that_ended_in_between_is_not_idle(scene: Scene):
    assert not any(scene.look(now, idle=now % 10 == 0, last=1) for now in range(0, 100, 5))


def test_a_transaction_that_begins_after_a_pause_is_not_idle(scene: Scene):
    assert scene.look(1, idle=False, last=1) == []
    assert scene.look(100, idle=True, last=1) == []
    assert scene.look(109, idle=True, last=1) == []
    assert scene.look(110, idle=True, last=1) == ["idle in transaction"]
