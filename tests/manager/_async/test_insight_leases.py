"""Query insight in a manager: leases that last too long."""

from __future__ import annotations

from tests.manager._async.helpers import wait_until
from tests.manager._async.watched import Watched, found, here
from tests.support.servers import on_latest


@on_latest
async def test_idle_in_transaction_is_found(watched: Watched):
    manager = await watched(idle_in_transaction=0.2)
    async with manager.connection("a") as conn:
        place = here(-1)
        await conn.execute("select 1")
        await wait_until(lambda: found(manager, "idle in transaction"))
        await conn.rollback()
    [finding] = found(manager, "idle in transaction")
    assert finding.place == place
    assert finding.seconds >= 0.2
    assert "commit" in finding.fix


@on_latest
async def test_a_lease_without_a_transaction_is_not_idle_in_one(watched: Watched):
    manager = await watched(idle_in_transaction=0.1, long_lease=0.5)
    async with manager.connection("a") as conn:
        await conn.execute("select 1")
        await conn.commit()
        await wait_until(lambda: found(manager, "long lease"))
    assert found(manager, "idle in transaction") == []


@on_latest
async def test_a_long_lease_is_found_while_it_lasts(watched: Watched):
    manager = await watched(long_lease=0.2)
    async with manager.connection("a"):
        place = here(-1)
        await wait_until(lambda: found(manager, "long lease"))
    [finding] = found(manager, "long lease")
    assert finding.place == place
