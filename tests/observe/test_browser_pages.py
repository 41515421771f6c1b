"""What a reader of the dashboard sees and does, in a real browser: findings, advice, overrides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tenantpool.config.show import effective_yaml
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError
from tenantpool.insight.finding import Finding
from tenantpool.service.overriding import Wish
from tenantpool.service.reload import CALL, Origin
from tests.support.browser import MISSING, Browser, find_browser
from tests.support.servers import on_latest
from tests.support.wait import wait_until

from .support import IDENTITIES, Web, log_in_by_hand, open_live, serving, settings
from .test_tenant_page import fail_for_acme, hasty, shut

__all__ = ["hasty"]

pytestmark = pytest.mark.skipif(find_browser() is None, reason=MISSING)

OFF: dict[str, Any] = {"enabled": False}


class Reader:
    """Somebody with a browser, who blocks: the service runs in the loop of the test."""

    def __init__(self, browser: Browser, web: Web) -> None:
        self._browser = browser
        self._url = web.origin

    async def does(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.to_thread(work, *arguments)

    async def opens(self, path: str) -> None:
        await self.does(open_live, self._browser, self._url + path)

    async def opens_still(self, path: str) -> None:
        """A page that does not change by itself."""
        await self.does(self._browser.open, self._url + path)

    async def logs_in(self) -> None:
        await self.does(log_in_by_hand, self._browser, self._url)

    async def clicks(self, selector: str) -> None:
        await self.does(self._browser.click, selector)

    async def reads(self, selector: str) -> str:
        return " ".join(str(await self.does(self._browser.text, selector)).split())

    async def sees(self, selector: str, words: str) -> None:
        """Wait until it says so; the page keeps itself up to date."""

        def wait() -> None:
            wait_until(
                lambda: words in " ".join(self._browser.text(selector).split()),
                what=f"{selector} says {self._browser.text(selector)!r} and not {words!r}",
            )

        await self.does(wait)

    async def finds(self, script: str) -> Any:
        return await self.does(self._browser.value, script)

    async def waits_for(self, script: str) -> None:
        await self.does(self._browser.wait_for, script)


async def test_a_finding_comes_by_itself_and_leads_to_its_tenant(browser: Browser) -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, web):
        reader = Reader(browser, web)
        await reader.logs_in()
        await reader.opens("/")
        assert await reader.finds("document.getElementById('findings')") is None
        lookup = "select name from customers where id = ?"
        what = "12 times in one lease"
        finding = Finding("repeated statement", "acme", what, "use a JOIN", lookup, "orders.py:7")
        server.findings.note(finding)
        await reader.sees("#findings", f"N+1 acme {what}")
        await reader.sees("#findings", f"{lookup} at orders.py:7")
        await reader.clicks("#findings li a.name")
        await reader.waits_for("location.pathname === '/tenants/acme'")
        await reader.sees("#findings", "Use a JOIN.")
        server.findings.note(finding)
        await reader.sees("#findings", "2 times, last")
        await reader.opens("/findings?kind=N%2B1")
        await reader.sees("main", "1 finding")
        assert browser.console == []


async def test_an_alert_comes_opens_and_goes(browser: Browser) -> None:
    fast = {"after": 0.0, "resolve_after": 0.0}
    alerts = {"interval": 0.02, "breaker_open": OFF, "reload_failed": fast}
    async with serving(settings(alerts=alerts)) as (server, web):
        reader = Reader(browser, web)
        await reader.opens("/")
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL), yaml="tiers: {}")
        await reader.sees("#alerts", "1 alert firing")
        assert "The new configuration was refused" in await reader.reads("#alerts summary b")
        assert not await reader.finds("document.querySelector('#alerts details').open")
        await reader.clicks("#alerts summary b")
        age = await reader.reads("#alerts .ago")
        await reader.waits_for(f"document.querySelector('#alerts .ago').innerText !== '{age}'")
        assert await reader.finds("document.querySelector('#alerts details').open")
        await server.reloader.reload(Origin(CALL), yaml=effective_yaml(server.settings))
        await reader.waits_for("!document.getElementById('alerts')")
        assert browser.console == []


@on_latest
async def test_advice_is_on_the_overview_and_on_the_page_of_its_tenant(
    browser: Browser, postgres: EmbeddedPostgres, hasty: None
) -> None:
    async with serving(shut(postgres)) as (server, web):
        reader = Reader(browser, web)
        await fail_for_acme(server)
        await reader.opens("/")
        await reader.sees("#advice", "create it, or correct dbname or user of the tenant")
        await reader.clicks("#advice li a.name")
        await reader.waits_for("location.pathname === '/tenants/acme'")
        await reader.sees("#advice", "create it, or correct dbname or user of the tenant")
        await reader.sees(".row .status", "critical")


async def test_an_override_is_removed_by_click(browser: Browser) -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, web):
        reader = Reader(browser, web)
        operator = server.guard.named("operator")
        assert operator is not None
        for page in "/configuration", "/tenants/acme":
            await server.overriding.set(Wish("acme", "basic", None, None, "a try"), operator)
            await reader.logs_in()
            await reader.opens_still(page)
            assert "tier basic tier pro operator a try" in await reader.reads("#overrides tbody")
            await reader.clicks("#overrides summary")
            assert "Back to tier pro, at once." in await reader.reads("#overrides details")
            await reader.clicks("#overrides button.danger")
            await reader.sees(".said", "was removed.")
            assert await reader.finds("location.pathname") == page
            assert await reader.finds("document.getElementById('overrides')") is None
            assert server.manager.roster.tenant("acme").limits.tier == "pro"
        assert browser.console == []


async def test_the_last_changes_say_who_changed_what(browser: Browser) -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, web):
        reader = Reader(browser, web)
        operator = server.guard.named("operator")
        assert operator is not None
        with pytest.raises(ConfigError):
            await server.reloader.reload(Origin(CALL, operator), yaml="tiers: {}")
        await server.overriding.set(Wish("acme", "basic", None, None, ""), operator)
        await reader.opens_still("/configuration")
        first = ".changes li:nth-child({}) {}"
        assert await reader.reads(first.format(1, "b")) == "Override by operator"
        assert "basic" in await reader.reads(first.format(1, ".lines"))
        assert await reader.reads(first.format(2, ".status")) == "refused"
        assert "databases: is missing" in await reader.reads(first.format(2, ".lines"))


@on_latest
async def test_the_figures_are_those_of_stats_and_of_pg_stat_activity(
    browser: Browser, postgres: EmbeddedPostgres, database: str
) -> None:
    made = settings(
        {"identities": IDENTITIES},
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 8}},
        tiers={"basic": {"min_size": 0, "cap": 3}},
        tenants={name: {"dbname": database} for name in ("acme", "globex")},
    )
    backends = (
        "select count(*) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()"
    )
    async with serving(made) as (server, web), AsyncExitStack() as stack:
        reader = Reader(browser, web)
        for tenant in "acme", "acme", "acme", "globex":
            await stack.enter_async_context(server.manager.connection(tenant))
        await (await server.manager.acquire("globex")).execute("select 1")
        stats = server.manager.stats()
        main, acme = stats.databases["main"], stats.tenants["acme"]
        await reader.opens("/")
        await reader.sees(".card .figure", f"{main.used} of {main.capacity} connections")
        await reader.sees(".summary", f"{main.in_use} of {main.capacity} connections lent")
        await reader.sees("tr[data-id=acme]", f"{acme.in_use} / {acme.cap}")
        await reader.opens("/tenants/acme")
        await reader.sees("#tenant-in-use", str(acme.in_use))
        await reader.sees("#tenant-leases", str(acme.leases))
        await reader.opens("/databases/main")
        [(asked,)] = await asyncio.to_thread(postgres.execute, backends, [database])
        assert main.in_use == asked == 5
        await reader.sees("#states tr.sum td", str(asked))


# -- reading while it changes ----------------------------------------------------------------------


async def test_nothing_moves_under_a_selection(browser: Browser) -> None:
    async with serving(settings()) as (server, web):
        reader = Reader(browser, web)
        await reader.opens("/findings")
        await reader.sees("main", "Nothing was found")
        select = "getSelection().selectAllChildren(document.querySelector('.empty h2'))"
        await reader.finds(select)
        server.findings.note(Finding("long lease", "acme", "held", "", "", "a:1"))
        await reader.finds("new Promise((done) => setTimeout(done, 1500))")
        assert await reader.finds("getSelection().toString().trim()") == "Nothing was found"
        await reader.finds("getSelection().removeAllRanges()")
        await reader.sees("main", "Held")


async def test_the_focus_stays_on_what_has_it_where_rows_change_places(browser: Browser) -> None:
    async with serving(settings()) as (server, web):
        reader = Reader(browser, web)
        for place, tenant in ("a:1", "acme"), ("b:2", "globex"):
            server.findings.note(Finding("long lease", tenant, "held", "", "", place))
        await reader.opens("/findings")
        acme = "document.querySelector('.findings a[href$=acme]')"
        await reader.waits_for(acme)
        await reader.finds(f"{acme}.focus()")
        assert await reader.reads(".findings li:first-child a") == "globex"
        server.findings.note(Finding("long lease", "acme", "held", "", "", "a:1"))
        await reader.sees(".findings li:first-child a", "acme")
        assert await reader.finds(f"document.activeElement === {acme}")


async def test_what_is_scrolled_to_stays_where_it_is(browser: Browser) -> None:
    async with serving(settings()) as (server, web):
        reader = Reader(browser, web)
        for number in range(20):
            server.findings.note(Finding("long lease", "acme", "held", "", "", f"a:{number}"))
        await reader.opens("/findings")
        await reader.finds("scrollTo(0, 600)")
        place = (
            "[...document.querySelectorAll('.findings li')].find(li => /a:5\\b/.test(li.innerText))"
        )
        before = await reader.finds(f"{place}.getBoundingClientRect().top")
        server.findings.note(Finding("long lease", "globex", "held", "", "", "b:1"))
        await reader.sees(".findings li:first-child a", "globex")
        after = await reader.finds(f"{place}.getBoundingClientRect().top")
        assert after == pytest.approx(before, abs=2)


# -- many tenants ----------------------------------------------------------------------------------


async def test_ten_thousand_tenants_fit_into_every_window(browser: Browser) -> None:
    tenants: dict[str, object] = {f"customer-{n:05}-of-the-north": {} for n in range(10_000)}
    async with serving(settings(tenants=tenants)) as (server, web):
        reader = Reader(browser, web)
        for name in list(tenants)[:300]:
            server.manager.seat(name)
        for width, dark in ((1360, False), (820, True), (360, False)):
            await reader.does(lambda w=width, d=dark: browser.resize(w, 800, dark=d))
            for path in "/", "/tenants", "/findings", "/alerts", "/leases":
                await reader.opens(path)
                wide = await reader.finds("document.documentElement.scrollWidth")
                assert wide <= width, f"{path} is {wide} px wide"
        await reader.opens("/tenants?q=-09999-")
        await reader.sees("main", "1 tenant")
        assert browser.console == []


@pytest.mark.parametrize("width", [1360, 360])
async def test_still_pages_fit_into_the_window(browser: Browser, width: int) -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, web):
        reader = Reader(browser, web)
        operator = server.guard.named("operator")
        assert operator is not None
        wish = Wish("acme", "enterprise", None, None, "a long reason " * 10)
        await server.overriding.set(wish, operator)
        await reader.logs_in()
        await reader.does(browser.resize, width, 800)
        for path in "/configuration", "/tenants/acme", "/login", "/nope":
            await reader.opens_still(path)
            wide = await reader.finds("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} px wide"


async def test_every_table_and_picture_has_a_name(browser: Browser) -> None:
    nameless = (
        "[...document.querySelectorAll('table, [role=img], nav, input:not([type=hidden]), select')]"
        ".filter(it => !(it.caption?.innerText || it.ariaLabel || it.labels?.length)).length"
    )
    async with serving(settings({"identities": IDENTITIES})) as (server, web):
        reader = Reader(browser, web)
        server.manager.seat("acme")
        await reader.logs_in()
        for path in "/", "/tenants", "/tenants/acme", "/databases/main", "/leases", "/findings":
            await reader.opens_still(path)
            assert await reader.finds(nameless) == 0, path
            assert await reader.finds("document.querySelectorAll('h1').length") == 1, path
            assert await reader.finds("document.querySelectorAll('main').length") == 1, path
