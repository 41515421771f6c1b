"""A lease whose connection was spoken to by somebody else is wiped before it is lent on."""

from __future__ import annotations

import pytest

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._async.helpers import OpenManager, pid_of
from tests.manager.support import make_settings
from tests.pools.frames import converse, query
from tests.support.servers import on_latest

pytestmark = on_latest


@pytest.fixture
async def manager(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
) -> AsyncManager:
    """A tenant, ``a``, and one connection."""
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=1, close_timeout=0.3)
    return await open_manager(settings)


async def test_its_session_is_wiped(manager: AsyncManager):
    lease = manager.connection("a")
    async with lease as conn:
        pid = conn.info.backend_pid
        assert lease.link is not None
        converse(lease.link.socket, "set work_mem = '9MB'")
        lease.wipe = True

    assert (await manager.execute("a", "show work_mem")).fetchone() == ("4MB",)
    assert await pid_of(manager, "a") == pid


@pytest.mark.parametrize("healthy", [False, True])
async def test_what_it_left_under_way_ends_the_connection(manager: AsyncManager, healthy: bool):
    """Whether its holder says so or not; libpq knows of nothing either way."""
    lease = manager.connection("a")
    conn = await lease.__aenter__()
    pid = conn.info.backend_pid
    assert lease.link is not None
    lease.link.socket.send(query("select pg_sleep(600)"))
    lease.wipe = True
    lease.shell.step(lease.shell.core.release, lease, healthy=healthy)

    assert await pid_of(manager, "a") != pid
