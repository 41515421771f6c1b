# Generated from ../_async/test_apply_under_load.py by tools/generate_sync.py: do not edit.
"""Configurations change while everybody is at work, and nobody fails within the new limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from tenantpool import Manager, Settings
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import Background, OpenManager, pid_of, wait_until
from tests.manager.support import make_settings
from tests.support.sampler import Sampler
from tests.support.servers import on_latest

WORKERS = 12
CHANGES = 40
CAPACITY = 6


class Load:
    """Workers that lease, query and give back until they are told to stop; errors end them."""

    def __init__(self, manager: Manager, tenants: Sequence[str]) -> None:
        self.done = 0
        self._goes_on = True
        self._jobs = [
            Background(self._work, manager, tenants[n % len(tenants)]) for n in range(WORKERS)
        ]

    def _work(self, manager: Manager, tenant: str) -> None:
        while self._goes_on:
            with manager.connection(tenant, timeout=20) as conn:
                conn.execute("select pg_sleep(0.001)")
            self.done += 1

    def progress(self) -> None:
        """Wait until every worker can have been served."""
        goal = self.done + 2 * WORKERS
        wait_until(lambda: self.done >= goal, what=f"{goal} leases")

    def stop(self) -> None:
        """Raises what a worker has met."""
        self._goes_on = False
        for job in self._jobs:
            job.result()


def limits(server: EmbeddedPostgres, names: Sequence[str]) -> Iterator[Settings]:
    """Caps, weights and capacities go up and down."""
    tenants = {name: {"dbname": name} for name in names}
    for step in range(CHANGES):
        tier = {"cap": 1 + step % 5, "weight": 1 + step % 3, "shrink_grace": 5}
        yield make_settings(server, tenants, tier=tier, capacity=CAPACITY - step % 4)


def tiers(server: EmbeddedPostgres, names: Sequence[str]) -> Iterator[Settings]:
    """Tenants change their tiers, and with them their sessions' timeouts, so their pools."""
    for step in range(CHANGES):
        sections = {"tiers": {"basic": {"statement_timeout": 30}, "gold": {"cap": 4}}}
        tenants = {
            name: {"dbname": name, "tier": ("basic", "gold")[(step + number) % 2]}
            for number, name in enumerate(names)
        }
        yield make_settings(server, tenants, capacity=CAPACITY, sections=sections)


def places(server: EmbeddedPostgres, names: Sequence[str]) -> Iterator[Settings]:
    """Tenants move from one database to the other and back."""
    half = {"conninfo": server.dsn(), "capacity": CAPACITY // 2}
    for step in range(CHANGES):
        tenants = {
            name: {"dbname": name, "database": ("main", "second")[(step + number) % 2]}
            for number, name in enumerate(names)
        }
        sections = {"databases": {"main": half, "second": half}}
        yield make_settings(server, tenants, sections=sections)


def logins(server: EmbeddedPostgres, names: Sequence[str]) -> Iterator[Settings]:
    """The conninfo changes again and again."""
    tenants = {name: {"dbname": name} for name in names}
    for step in range(CHANGES):
        conninfo = server.dsn(options=f"-c app.step={step}")
        yield make_settings(server, tenants, capacity=CAPACITY, conninfo=conninfo)


@on_latest
@pytest.mark.parametrize("kind", [limits, tiers, places, logins])
def test_nobody_fails_whatever_changes(
    postgres: EmbeddedPostgres, databases: Any, open_manager: OpenManager, kind: Any
):
    names = databases(4)
    changes = list(kind(postgres, names))
    manager = open_manager(changes[0])
    for name in names:
        pid_of(manager, name)
    with Sampler(postgres.dsn()) as sampler:
        load = Load(manager, names)
        for settings in changes:
            manager.apply(settings)
            load.progress()
        load.stop()
    assert sampler.most_of("tenantpool") <= CAPACITY
    assert load.done > CHANGES * WORKERS
    wait_until(lambda: not any(t.in_use for t in manager.stats().tenants.values()))


@on_latest
def test_an_auto_capacity_follows_the_server_that_came_back_with_another_limit(
    postgres: EmbeddedPostgres, open_manager: OpenManager
):
    with EmbeddedPostgres(version=postgres.version, settings={"max_connections": "20"}) as server:
        tenants = {"a": {"dbname": "postgres"}}
        manager = open_manager(make_settings(server, tenants, capacity="auto", headroom=2))
        pid_of(manager, "a")
        assert capacity(manager) == 15
        server.settings["max_connections"] = "12"
        server.restart()
        wait_until_served(manager)
        assert capacity(manager) == 7
        server.settings["max_connections"] = "30"
        server.restart("immediate")
        wait_until_served(manager)
        assert capacity(manager) == 25


def capacity(manager: Manager) -> int:
    return manager.stats().databases["main"].capacity


def wait_until_served(manager: Manager) -> None:
    """A lease so soon after a restart may find its connection broken."""
    for _ in range(3):
        with suppress(psycopg.OperationalError):
            manager.execute("a", "select 1")
