# Generated from ../_async/test_neighbours.py by tools/generate_sync.py: do not edit.
"""One tenant's trouble is not its neighbours': rule 7 against a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tenantpool import Manager
from tenantpool.embedded import HOST, EmbeddedPostgres
from tenantpool.errors import BreakerOpen, ConnectFailed, ConnectTimeout
from tests.manager._sync.helpers import OpenManager
from tests.manager.support import Tenants, make_settings
from tests.stress._sync.use import lease_every_slot, refusal, success, visit
from tests.support.servers import on_latest

pytestmark = on_latest

GUESSED = "guessed"
"""A role that must show a password, and has another one than the configuration says."""

QUICK = {"breaker": {"failures": 2, "backoff": 0.05, "backoff_max": 0.05}}
LATE = "late_database"


@pytest.fixture
def tenants(databases: Callable[[int], list[str]]) -> Tenants:
    good, other = databases(2)
    return {"good": {"dbname": good}, "other": {"dbname": other}, "bad": {"dbname": LATE}}


def breakers(manager: Manager) -> Mapping[str, str]:
    """The state of each tenant's breaker, and of the database's as ``main``."""
    stats = manager.stats()
    return {name: tenant.breaker for name, tenant in stats.tenants.items()} | {
        "main": stats.databases["main"].breaker
    }


@contextmanager
def password_wanted(server: EmbeddedPostgres) -> Iterator[None]:
    """Let nobody in as GUESSED who does not know the password."""
    hba = server.data_dir / "pg_hba.conf"
    before = hba.read_text()
    server.execute(f"create role {GUESSED} login password 'right'")
    hba.write_text(f"local all {GUESSED} scram-sha-256\n{before}")
    server.execute("select pg_reload_conf()")
    try:
        yield
    finally:
        hba.write_text(before)
        server.execute("select pg_reload_conf()")
        server.execute(f"drop role {GUESSED}")


def test_a_dead_database_trips_its_tenant_only_and_heals_when_it_is_there(
    open_manager: OpenManager, postgres: EmbeddedPostgres, tenants: Tenants
):
    manager = open_manager(make_settings(postgres, tenants, capacity=2, tier=QUICK))

    refusal(manager, "bad", BreakerOpen)
    for tenant in ("good", "other"):
        visit(manager, tenant)
    assert breakers(manager) == {
        "bad": "open",
        "good": "closed",
        "other": "closed",
        "main": "closed",
    }

    postgres.create_database(LATE)
    try:
        success(manager, "bad")
        assert set(breakers(manager).values()) == {"closed"}
        lease_every_slot(manager, "good", "bad")
    finally:
        drop(postgres, LATE)


def test_a_database_that_is_dropped_meanwhile(
    open_manager: OpenManager, postgres: EmbeddedPostgres, tenants: Tenants
):
    postgres.create_database(LATE)
    manager = open_manager(make_settings(postgres, tenants, capacity=2, check_after=0))
    for tenant in ("bad", "good"):
        visit(manager, tenant)

    drop(postgres, LATE)
    with pytest.raises(ConnectFailed) as caught:
        visit(manager, "bad")
    assert "does not exist" in str(caught.value)
    visit(manager, "good")
    lease_every_slot(manager, "good", "other")


def test_a_wrong_password_trips_its_tenant_only(
    open_manager: OpenManager, postgres: EmbeddedPostgres, tenants: Tenants
):
    dbname = tenants["good"]["dbname"]
    guess: dict[str, Any] = {"dbname": dbname, "user": GUESSED, "password": "wrong"}
    with password_wanted(postgres):
        settings = make_settings(postgres, {**tenants, "bad": guess}, capacity=2, tier=QUICK)
        manager = open_manager(settings)

        error = refusal(manager, "bad", BreakerOpen)
        assert "password authentication failed" in str(error.__cause__)
        visit(manager, "good")
        assert breakers(manager) == {"bad": "open", "good": "closed", "main": "closed"}
        lease_every_slot(manager, "good", "other")


def test_a_host_that_can_not_be_reached_trips_the_whole_database(
    open_manager: OpenManager, postgres: EmbeddedPostgres, tenants: Tenants
):
    nobody = postgres.dsn(host=HOST, port=1)
    manager = open_manager(make_settings(postgres, tenants, conninfo=nobody))

    error = refusal(manager, "good", BreakerOpen)
    assert isinstance(error.__cause__, psycopg.OperationalError)
    with pytest.raises((BreakerOpen, ConnectTimeout)) as caught:
        manager.acquire("other", timeout=0.01)
    assert caught.value.__cause__ is not None
    assert breakers(manager)["main"] != "closed"
    assert breakers(manager)["good"] == "closed"


def drop(server: EmbeddedPostgres, name: str) -> None:
    server.execute(f"drop database {name} with (force)")
