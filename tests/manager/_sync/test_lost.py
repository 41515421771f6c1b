# Generated from ../_async/test_lost.py by tools/generate_sync.py: do not edit.
"""Connections that the server closes while nobody uses them."""

from __future__ import annotations

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, pid_of, wait_until
from tests.manager.support import backends, kill, make_settings
from tests.support.servers import on_latest

pytestmark = on_latest


def test_an_idle_connection_that_the_server_closes_gives_up_its_slot(
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    caplog: pytest.LogCaptureFixture,
):
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}))
    with manager.connection("a"), manager.connection("a") as conn:
        used = conn.info.backend_pid
        pid_of(manager, "a")
        (idle,) = set(backends(postgres, database)) - {
            lease.link.pid for lease in manager.leases() if lease.link is not None
        }
        kill(postgres, idle)
        wait_until(lambda: manager.stats().databases["main"].used == 2)
        conn.execute("select 1")
    assert used in backends(postgres, database)
    assert manager.stats().tenants["a"].lost == 1
    (record,) = [r for r in caplog.records if r.getMessage().startswith("idle connections lost")]
    assert vars(record)["fields"]["connections"] == 1


def test_one_with_something_to_read_is_not_lost(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier={"min_size": 1})
    manager = open_manager(settings)
    with manager.connection("a") as conn:
        conn.set_autocommit(True)
        conn.execute("listen news")
        conn.set_autocommit(False)
        pid, shell = conn.info.backend_pid, manager.leases()[0].shell
    postgres.execute("notify news", dbname=database)
    sweeps = shell._sweeps + 3
    wait_until(lambda: shell._sweeps > sweeps)
    assert pid_of(manager, "a") == pid
    assert manager.stats().tenants["a"].lost == 0
