"""A server with not one connection to spare, the tenants that crowd it, and what must be true."""

from __future__ import annotations

import logging
import os
from collections import Counter
from types import TracebackType
from typing import Any, Self

import psycopg
import pytest

from tenantpool import Settings
from tenantpool.core.books import Books
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.embedded.server import StopMode
from tenantpool.manager.stats import ManagerStats
from tests.manager.support import APPLICATION, make_settings
from tests.support.dice import Dice

CAPACITY = 12
RESERVED = 3
"""superuser_reserved_connections of PostgreSQL."""
WATCHERS = 3
"""Connections of the tests themselves: two samplers and an operator."""
WORKER = "worker"
"""The role of the tenants. It may not use what is reserved for superusers."""
DEDICATED = 4
SHARING = 2
ADMITTED = [f"own_{n}" for n in range(DEDICATED)] + [f"sharing_{n}" for n in range(SHARING)]
"""The tenants of the crowd that can connect."""

SECONDS = float(os.environ.get("TENANTPOOL_STRESS_SECONDS", "2"))
"""How long each soup is cooked."""

REFUSED_BY_THE_SERVER = ("too many clients", "connection slots are reserved")


def prepare(server: EmbeddedPostgres) -> None:
    """Make the role and the databases of the crowd, once."""
    server.execute(f"create role {WORKER} login")
    for number in range(DEDICATED):
        server.create_database(f"own_{number}")
    server.create_database("common")
    for number in range(SHARING):
        server.execute(f"create schema schema_{number} authorization {WORKER}", dbname="common")


def crowd(server: EmbeddedPostgres, **database: Any) -> Settings:
    """Tenants with a database each, some that share one, and two that never get in."""
    own: dict[str, dict[str, Any]] = {f"own_{n}": {"dbname": f"own_{n}"} for n in range(DEDICATED)}
    sharing = {
        f"sharing_{n}": {"dbname": "common", "schema": f"schema_{n}"} for n in range(SHARING)
    }
    outcast = {
        "ghost": {"dbname": "no_such_database"},
        "stranger": {"dbname": "own_0", "user": "no_such_role"},
    }
    never = {"failures": 10**6, "window": 10**6}
    tier = {"cap": 5, "overflow": 2, "max_waiting": 6, "acquire_timeout": 2.0, "breaker": never}
    limits = {"capacity": CAPACITY, "min_connection_age": 0.01, "quantum_factor": 3.0}
    return make_settings(
        server,
        own | sharing | outcast,
        tier=tier,
        conninfo=server.dsn(user=WORKER),
        **(limits | database),
    )


class Operator:
    """A superuser's connection, which comes back after the server has been away."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._conn = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._conn.close()

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self._server.dsn(application_name="operator"), autocommit=True)

    def ask(self, query: str, *params: object) -> Any:
        """The first column of the only row."""
        if self._conn.closed:
            self._conn = self._connect()
        row = self._conn.execute(query.encode(), params).fetchone()
        assert row is not None
        return row[0]

    def backends(self) -> int:
        """The backends of tenantpool, as PostgreSQL sees them."""
        found: int = self.ask(
            "select count(*) from pg_stat_activity where application_name = %s", APPLICATION
        )
        return found

    def kill_one(self, dice: Dice) -> None:
        """End a backend of tenantpool, whatever it does."""
        self.ask(
            "select count(pg_terminate_backend(pid)) from (select pid from pg_stat_activity"
            " where application_name = %s order by pid offset %s limit 1) as victim",
            APPLICATION,
            dice.randrange(CAPACITY),
        )

    def clear_up(self) -> None:
        """End all of tenantpool's backends, so that a test that failed spoils no other."""
        self.ask(
            "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
            " where application_name = %s",
            APPLICATION,
        )

    def restart(self, how: StopMode) -> None:
        """Restart the server under everybody's feet."""
        self._conn.close()
        self._server.restart(how)


def refusals_of_the_server(log: pytest.LogCaptureFixture) -> list[str]:
    """What PostgreSQL said about connections it had no room for."""
    messages = [r.getMessage() for r in log.get_records("call") if r.levelno >= logging.WARNING]
    return [m for m in messages if any(words in m for words in REFUSED_BY_THE_SERVER)]


def waiting(stats: ManagerStats, tenant: str) -> int:
    """How many wait for a connection of *tenant*."""
    return stats.tenants[tenant].waiting if tenant in stats.tenants else 0


def is_at_rest(core: Books) -> bool:
    """Nothing is under way: every slot is idle."""
    return core.used == sum(len(pool.idle) for pool in core.pools.values()) and not core.ranking


def nothing_left(core: Books) -> None:
    """The books are empty: no slot, no lease, no waiter, nothing under way."""
    left: Counter[str] = Counter(slot.state for pool in core.pools.values() for slot in pool.slots)
    assert not core.used, left
    assert not core.connecting
    assert not core.leaving
    assert not left
    for tenant in core.tenants.values():
        assert tenant.is_idle, tenant
