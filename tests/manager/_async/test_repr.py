"""Every public object says what it is and how it does, and what is inside does too."""

from __future__ import annotations

import pytest

from tenantpool import AsyncManager, ConnectFailed, TenantLimit
from tenantpool.concurrency import AsyncCrew
from tenantpool.core.slot import Slot
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError
from tenantpool.pools._async.link import AsyncLink
from tests.manager._async.helpers import OpenManager
from tests.manager.support import make_settings
from tests.support.servers import on_latest

SETTINGS = "<Settings databases=1 tiers=3 tenants=1 template=off>"


@on_latest
async def test_a_manager(postgres: EmbeddedPostgres):
    manager = AsyncManager(make_settings(postgres, {"a": {"dbname": "postgres"}}))
    assert repr(manager) == f"<AsyncManager not open yet: {SETTINGS}>"
    async with manager:
        await manager.execute("a", "select 1")
        assert repr(manager) == "<AsyncManager open: main 1/8>"
    assert repr(manager) == "<AsyncManager closed: main 0/8>"


@on_latest
async def test_what_a_manager_gives(manager: AsyncManager):
    lease = manager.connection("a")
    assert repr(lease) == "<AsyncLease a new>"
    async with lease:
        assert repr(lease) == "<AsyncLease a granted>"
    assert repr(lease) == "<AsyncLease a returned>"

    result = await manager.execute("a", "select 1")
    assert repr(result) == "<Result SELECT 1: 1 rows, 0 fetched>"
    assert repr(manager.pool("a")) == f"<AsyncTenantPool a of {manager!r}>"


@on_latest
async def test_what_a_manager_is_made_of(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, {"a": {"dbname": database}}))
    conn = await manager.acquire("a")
    shell = manager._shells["main"]
    [pool] = shell.core.pools.values()
    [slot] = pool.slots
    assert isinstance(slot, Slot)
    assert repr(shell.core) == (
        "<Database main: 1 of 8 slots used, 1 pools, 0 waiting, breaker closed>"
    )
    assert repr(shell) == f"<AsyncShell {shell.core!r}>"
    assert repr(pool) == f"<Pool {database}: 1 open, 0 idle, 0 opening>"
    assert repr(pool.resource) == f"<AsyncPassivePool {pool!r}>"
    assert repr(slot) == f"<Slot {database} in use>"
    assert repr(slot.connection) == f"<AsyncLink {database}, backend {conn.info.backend_pid}>"
    assert isinstance(slot.connection, AsyncLink)
    await manager.release(conn)


async def test_a_crew():
    crew = AsyncCrew(1, "hands")
    assert repr(crew) == "<AsyncCrew hands: 0 at work>"
    await crew.join()


@pytest.mark.parametrize("kind", [TenantLimit, ConnectFailed])
def test_a_refusal(kind: type[TenantLimit] | type[ConnectFailed]):
    error = kind("a", "the limit", waited=1.5, holders={"a": 2}, cause=OSError("no route"))
    assert repr(error) == f"{kind.__name__}('a', 'the limit')"
    assert str(error) == (
        f"a: {kind.reason}: the limit; waited 1.500 s; held by a: 2; last connect error: no route"
    )


def test_a_configuration_error():
    assert str(ConfigError("file:3", "is wrong", "write 4")) == "file:3: is wrong; write 4"
