"""The four signals: what a second looked like, from sums that only grow."""

from __future__ import annotations

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import AcquireTimeout
from tenantpool.observe.pulse import ALL, KEPT, Pulse
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .support import serving, settings


@on_latest
async def test_a_point_says_what_has_happened_since_the_one_before(
    postgres: EmbeddedPostgres, database: str
) -> None:
    made = settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 5}},
        tiers={"basic": {"cap": 1, "min_size": 0}},
        tenants={"acme": {"dbname": database}},
    )
    async with serving(made) as (server, _):
        pulse = Pulse(server.manager)
        pulse.take()
        conn = await server.manager.acquire("acme")
        with pytest.raises(AcquireTimeout):
            await server.manager.acquire("acme", timeout=0.0)
        pulse.take()
        point = pulse.latest(ALL)
        assert point is not None
        assert point.leases > 0
        assert point.refused["TENANT_LIMIT"] > 0
        assert (point.used, point.lent) == (0.25, 0.25)
        assert point.p99 is not None
        await server.manager.release(conn)
        await wait_until_async(lambda: not server.manager.stats().databases["main"].in_use)
        pulse.take()
        quiet = pulse.latest("main")
        assert quiet is not None
        assert (quiet.leases, quiet.lent) == (0.0, 0.0)
        assert quiet.refused["TENANT_LIMIT"] > 0  # in the last ten seconds


async def test_five_minutes_are_kept() -> None:
    async with serving(settings()) as (server, _):
        pulse = Pulse(server.manager)
        for _ in range(KEPT + 10):
            pulse.take()
        assert len(pulse.points(ALL)) == len(pulse.points("main")) == KEPT
        latest = pulse.latest(ALL)
        assert latest is not None
        assert (latest.leases, latest.p50, latest.p99) == (0.0, None, None)
        assert pulse.latest("nowhere") is None
