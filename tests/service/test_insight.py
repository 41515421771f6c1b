"""Query insight in the service: it sees no statement of its workers, but what they hold."""

from __future__ import annotations

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.service.desk import Desk
from tests.manager.support import make_settings
from tests.service.desks import ME, SERVICE, wanted
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async


@on_latest
async def test_a_lease_that_a_worker_holds_for_long_is_found(
    postgres: EmbeddedPostgres, database: str
):
    sections = {"insight": {"enabled": True, "long_lease": 0.1}, "service": SERVICE}
    settings = make_settings(postgres, {"a": {"dbname": database}}, sections=sections)
    async with AsyncManager(settings) as manager:
        desk = Desk(manager, settings.service)
        desk.start()
        loan = await desk.acquire(ME, wanted())
        insight = manager.insight
        assert insight is not None
        await wait_until_async(insight.findings)
        await desk.close(0.0)
    [finding] = insight.findings()
    assert (finding.kind, finding.tenant, finding.place) == ("long lease", "a", loan.holder)
