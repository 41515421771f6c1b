# Generated from ../_async/test_repr.py by tools/generate_sync.py: do not edit.
"""Every public object says what it is and how it does, and what is inside does too."""

from __future__ import annotations

import pytest

from tenantpool import ConnectFailed, Manager, TenantLimit
from tenantpool.concurrency import Crew
from tenantpool.core.slot import Slot
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError
from tenantpool.pools._sync.link import Link
from tests.manager._sync.helpers import OpenManager
from tests.manager.support import make_settings
from tests.support.servers import on_latest

SETTINGS = "<Settings databases=1 tiers=3 tenants=1 template=off>"


@on_latest
def test_a_manager(postgres: EmbeddedPostgres):
    manager = Manager(make_settings(postgres, {"a": {"dbname": "postgres"}}))
    assert repr(manager) == f"<Manager not open yet: {SETTINGS}>"
    with manager:
        manager.execute("a", "select 1")
        assert repr(manager) == "<Manager open: main 1/8>"
    assert repr(manager) == "<Manager closed: main 0/8>"


@on_latest
def test_what_a_manager_gives(manager: Manager):
    lease = manager.connection("a")
    assert repr(lease) == "<Lease a new>"
    with lease:
        assert repr(lease) == "<Lease a granted>"
    assert repr(lease) == "<Lease a returned>"

    result = manager.execute("a", "select 1")
    assert repr(result) == "<Result SELECT 1: 1 rows, 0 fetched>"
    assert repr(manager.pool("a")) == f"<TenantPool a of {manager!r}>"


@on_latest
def test_what_a_manager_is_made_of(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}))
    conn = manager.acquire("a")
    shell = manager._shells["main"]
    [pool] = shell.core.pools.values()
    [slot] = pool.slots
    assert isinstance(slot, Slot)
    assert repr(shell.core) == (
        "<Database main: 1 of 8 slots used, 1 pools, 0 waiting, breaker closed>"
    )
    assert repr(shell) == f"<Shell {shell.core!r}>"
    assert repr(pool) == f"<Pool {database}: 1 open, 0 idle, 0 opening>"
    assert repr(pool.resource) == f"<PassivePool {pool!r}>"
    assert repr(slot) == f"<Slot {database} in use>"
    assert repr(slot.connection) == f"<Link {database}, backend {conn.info.backend_pid}>"
    assert isinstance(slot.connection, Link)
    manager.release(conn)


def test_a_crew():
    crew = Crew(1, "hands")
    assert repr(crew) == "<Crew hands: 0 at work>"
    crew.join()


@pytest.mark.parametrize("kind", [TenantLimit, ConnectFailed])
def test_a_refusal(kind: type[TenantLimit] | type[ConnectFailed]):
    error = kind("a", "the limit", waited=1.5, holders={"a": 2}, cause=OSError("no route"))
    assert repr(error) == f"{kind.__name__}('a', 'the limit')"
    assert str(error) == (
        f"a: {kind.reason}: the limit; waited 1.500 s; held by a: 2; last connect error: no route"
    )


def test_a_configuration_error():
    assert str(ConfigError("file:3", "is wrong", "write 4")) == "file:3: is wrong; write 4"
