"""``acquire`` and ``release``, for those who cannot use a block."""

from __future__ import annotations

import gc
import weakref

import pytest
from psycopg import AsyncConnection

from tenantpool import AsyncManager, LeaseEnded
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, raises, wait_until
from tests.manager.support import make_settings
from tests.support.servers import on_latest

pytestmark = on_latest


async def test_what_is_acquired_is_in_use_until_it_is_released(manager: AsyncManager):
    conn = await manager.acquire("a", timeout=5, priority=1)
    assert manager.stats().tenants["a"].in_use == 1
    await manager.release(conn)
    assert manager.stats().tenants["a"].in_use == 0


async def test_a_transaction_that_is_open_at_release_is_rolled_back(manager: AsyncManager):
    conn = await manager.acquire("a")
    await conn.execute("create table numbers (n int)")
    await manager.release(conn)
    found = await manager.execute("a", "select to_regclass('numbers')")
    assert found.fetchone() == (None,)


async def test_a_second_release_is_an_error_and_harms_nobody(manager: AsyncManager):
    conn = await manager.acquire("a")
    await manager.release(conn)
    async with manager.connection("a") as again:
        assert again is conn
        with pytest.raises(LeaseEnded, match="returned already"):
            await manager.release(conn)
        assert manager.stats().tenants["a"].in_use == 1
        await again.execute("select 1")


async def test_what_was_not_acquired_here_is_not_taken(
    manager: AsyncManager, postgres: EmbeddedPostgres
):
    async with await AsyncConnection.connect(postgres.dsn()) as foreign:
        with pytest.raises(LeaseEnded, match="not borrowed with acquire"):
            await manager.release(foreign)
        assert not foreign.closed
    async with manager.connection("a") as conn, raises(LeaseEnded):
        await manager.release(conn)


async def test_a_revoked_connection_is_not_kept(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """A holder that forgot its connection must not cost a socket for ever."""
    settings = make_settings(postgres, {"a": {"dbname": database}}, min_connection_age=0)
    manager = await open_manager(settings)
    conn = await manager.acquire("a")
    [lease] = manager.leases()
    manager.revoke(lease)
    await wait_until(lambda: manager.stats().databases["main"].used == 0)
    forgotten = weakref.ref(conn)
    del conn, lease

    await manager.execute("a", "select 1")
    gc.collect()

    assert forgotten() is None


async def test_a_revoked_connection_can_be_released_without_a_word(manager: AsyncManager):
    conn = await manager.acquire("a")
    manager.revoke(*manager.leases())
    await manager.release(conn)
    assert conn.closed
    assert manager.stats().tenants["a"].in_use == 0
