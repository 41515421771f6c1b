"""Pages that stay up to date: what is streamed, to whom, and that nothing is done for nobody."""

from __future__ import annotations

import asyncio

from tenantpool.embedded import EmbeddedPostgres
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .support import IDENTITIES, looking, serving, settings


async def test_a_stream_brings_the_past_the_page_and_the_points() -> None:
    async with serving(settings()) as (_, web), looking(web, "/") as events:
        assert isinstance(await events.next("past"), list)
        page = await events.next("page")
        assert 'class="summary' in page
        assert "<html" not in page
        point = await events.next("point")
        assert {"at", "leases", "p50", "p99", "refused", "used", "lent"} == point.keys()


async def test_what_is_streamed_is_what_the_page_shows() -> None:
    async with serving(settings()) as (_, web), looking(web, "/tenants&q=acm") as events:
        live = await events.next("page")
        page = (await web.get("/tenants?q=acm")).text
        assert "acme" in live
        assert "globex" not in live
        assert live.split() == page.split("data-live>")[1].split("</main>")[0].split()


@on_latest
async def test_a_page_is_sent_when_it_has_changed(
    postgres: EmbeddedPostgres, database: str
) -> None:
    made = settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 5}},
        tiers={"basic": {"min_size": 0}},
        tenants={"acme": {"dbname": database}},
    )
    async with serving(made) as (server, web), looking(web, "/tenants/acme") as events:
        assert "not for a long time" in await events.next("page")
        conn = await server.manager.acquire("acme")
        assert '<b id="tenant-in-use">1</b>' in await events.next("page")
        await server.manager.release(conn)
        assert '<b id="tenant-in-use">0</b>' in await events.next("page")


async def test_a_page_is_made_once_for_all_who_see_the_same() -> None:
    async with serving(settings()) as (server, _):
        assert server.http is not None
        hub = server.http.site.hub
        made = 0

        async def make() -> str:
            nonlocal made
            made += 1
            await asyncio.sleep(0)
            return "x"

        assert await asyncio.gather(*[hub.made("k", make) for _ in range(5)]) == ["x"] * 5
        assert made == 1
        await hub.next_tick()
        await hub.made("k", make)
        assert made == 2


async def test_without_viewers_nothing_is_read() -> None:
    async with serving(settings()) as (server, web):
        assert server.http is not None
        hub = server.http.site.hub
        async with looking(web, "/") as events:
            await events.next("page")
            assert hub.viewers == 1
        await wait_until_async(lambda: hub.viewers == 0)
        await hub.next_tick()
        assert hub._reading is None
        points = len(hub.pulse.points(""))
        await hub.next_tick()
        assert len(hub.pulse.points("")) > points  # what charts begin with
        assert hub._reading is None


async def test_a_stream_ends_when_its_viewer_logs_out() -> None:
    host = {"host": "tenantpool.example"}
    async with serving(settings({"identities": IDENTITIES})) as (_, web):
        login = await web.log_in()
        token = (await web.get("/", cookie=login)).form_token()
        async with looking(web, "/", cookie=login, **host) as events:
            await events.next("page")
            await web.post("/logout", {"token": token}, cookie=login, origin=web.origin)
            assert "log in" in await events.next("end")
            await events.end()


async def test_a_form_in_a_stream_is_its_viewers_own() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (_, web):
        mine, other = await web.log_in(), await web.log_in()
        pages = []
        for login in (mine, other):
            async with looking(web, "/tenants/acme", cookie=login) as events:
                pages.append(await events.next("page"))
            shown = (await web.get("/tenants/acme", cookie=login)).form_token()
            assert shown in pages[-1]
        assert pages[0] != pages[1]


async def test_a_stream_does_not_hold_up_the_end_of_the_service() -> None:
    async with serving(settings()) as (server, web), looking(web, "/") as events:
        await events.next("page")
        async with asyncio.timeout(5):
            await server.stop(0.0)
        await events.end()


async def test_too_many_viewers_are_refused() -> None:
    async with serving(settings()) as (server, web):
        assert server.http is not None
        hub = server.http.site.hub
        for _ in range(100):
            hub.enter()
        answer = await web.get("/live?view=/")
        assert (answer.status, answer.text) == (503, "100 pages are looked at live already\n")
        for _ in range(100):
            hub.leave()


async def test_what_is_no_live_page_is_not_there() -> None:
    async with serving(settings()) as (_, web):
        for view in ("/nope", "/configuration", "/login", "/metrics"):
            assert (await web.get(f"/live?view={view}")).status == 404
