"""A desk over a real manager, for tests of what it promises, whatever carries the messages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tenantpool import AsyncManager, Settings
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.service.desk import Desk
from tenantpool.service.identity import Identity
from tenantpool.service.loan import Loan
from tenantpool.service.worker import Worker
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, LeaseRef
from tenantpool.v1.session_pb2 import SessionResponse

EVERYTHING = re.compile(".*", re.DOTALL)

ME = Identity("me", may_administer=True, may_direct=True, tenants=EVERYTHING)
OTHER = Identity("other", tenants=EVERYTHING)

SERVICE = {"session_ttl": 60.0, "lease_grace": 0.2, "confirm_within": 30.0}


def make_settings(
    server: EmbeddedPostgres, dbname: str, *, capacity: int = 4, **service: Any
) -> Settings:
    """Tenants ``a`` and ``b``, each with a cap of 2, in pools of their own."""
    tier = {"cap": 2, "min_size": 0, "acquire_timeout": 5.0}
    return Settings(
        databases={"main": {"conninfo": server.dsn(), "capacity": capacity, "check_after": 60}},
        tiers={"basic": tier},
        tenants={"a": {"dbname": dbname}, "b": {"dbname": "postgres"}},
        template={"enabled": False},
        sweep_interval=0.05,
        service=SERVICE | service,
    )


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """A desk at work; at the end it must have nothing left."""
    async with AsyncManager(settings) as manager:
        desk = Desk(manager, settings.service)
        desk.start()
        try:
            yield desk
        finally:
            await desk.close(0.0)
            assert not desk.ledger.loans


class Ear:
    """Hears the notices of a session."""

    def __init__(self) -> None:
        self.heard: list[SessionResponse] = []

    def __call__(self, notice: SessionResponse) -> None:
        self.heard.append(notice)

    def of(self, kind: str) -> list[Any]:
        """What was heard of that *kind*."""
        return [getattr(notice, kind) for notice in self.heard if notice.HasField(kind)]


def begin(desk: Desk, ear: Ear | None = None, identity: Identity = ME) -> Worker:
    return desk.sessions.begin(identity, "worker 1", [], ear or Ear())


def wanted(tenant: str = "a", **fields: Any) -> AcquireLeaseRequest:
    return AcquireLeaseRequest(tenant=tenant, **fields)


@pytest.fixture
async def desk(postgres: EmbeddedPostgres, database: str) -> AsyncIterator[Desk]:
    async with open_desk(make_settings(postgres, database)) as desk:
        yield desk


def ref(loan: Loan, token: int = 0) -> LeaseRef:
    return LeaseRef(lease_id=loan.lease_id, fencing_token=token)


def is_there(postgres: EmbeddedPostgres, pid: int) -> bool:
    return bool(postgres.execute("select from pg_stat_activity where pid = %s", [pid]))


class Unplugged:
    """A gateway's end of a lease, with nobody at it."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def cut(self, reason: str) -> None:
        self.reasons.append(reason)

    def relinquish(self) -> bool:
        return True
