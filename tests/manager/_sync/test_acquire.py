# Generated from ../_async/test_acquire.py by tools/generate_sync.py: do not edit.
"""``acquire`` and ``release``, for those who cannot use a block."""

from __future__ import annotations

import gc
import weakref

import pytest
from psycopg import Connection

from tenantpool import LeaseEnded, Manager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, raises, wait_until
from tests.manager.support import make_settings
from tests.support.servers import on_latest

pytestmark = on_latest


def test_what_is_acquired_is_in_use_until_it_is_released(manager: Manager):
    conn = manager.acquire("a", timeout=5, priority=1)
    assert manager.stats().tenants["a"].in_use == 1
    manager.release(conn)
    assert manager.stats().tenants["a"].in_use == 0


def test_a_transaction_that_is_open_at_release_is_rolled_back(manager: Manager):
    conn = manager.acquire("a")
    conn.execute("create table numbers (n int)")
    manager.release(conn)
    found = manager.execute("a", "select to_regclass('numbers')")
    assert found.fetchone() == (None,)


def test_a_second_release_is_an_error_and_harms_nobody(manager: Manager):
    conn = manager.acquire("a")
    manager.release(conn)
    with manager.connection("a") as again:
        assert again is conn
        with pytest.raises(LeaseEnded, match="returned already"):
            manager.release(conn)
        assert manager.stats().tenants["a"].in_use == 1
        again.execute("select 1")


def test_what_was_not_acquired_here_is_not_taken(manager: Manager, postgres: EmbeddedPostgres):
    with Connection.connect(postgres.dsn()) as foreign:
        with pytest.raises(LeaseEnded, match="not borrowed with acquire"):
            manager.release(foreign)
        assert not foreign.closed
    with manager.connection("a") as conn, raises(LeaseEnded):
        manager.release(conn)


def test_a_revoked_connection_is_not_kept(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    """A holder that forgot its connection must not cost a socket for ever."""
    settings = make_settings(postgres, {"a": {"dbname": database}}, min_connection_age=0)
    manager = open_manager(settings)
    conn = manager.acquire("a")
    [lease] = manager.leases()
    manager.revoke(lease)
    wait_until(lambda: manager.stats().databases["main"].used == 0)
    forgotten = weakref.ref(conn)
    del conn, lease

    manager.execute("a", "select 1")
    gc.collect()

    assert forgotten() is None


def test_a_revoked_connection_can_be_released_without_a_word(manager: Manager):
    conn = manager.acquire("a")
    manager.revoke(*manager.leases())
    manager.release(conn)
    assert conn.closed
    assert manager.stats().tenants["a"].in_use == 0
