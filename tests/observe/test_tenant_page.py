"""A tenant's page: what decides how it is served, what to change, and what its statements told."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import replace
from time import time
from typing import Any

import pytest

from tenantpool.config.overrides import Override, Overrides
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import Refused, TenantSuspended
from tenantpool.insight.finding import Finding
from tenantpool.insight.insight import Insight
from tenantpool.observe import render
from tenantpool.observe.access import Visitor
from tenantpool.observe.look import Look
from tenantpool.observe.tenant_page import tenant_page
from tenantpool.service.server import Server
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .support import IDENTITIES, OPERATOR, Web, serving, settings

OPERATORS = {"identities": IDENTITIES}


def small(postgres: EmbeddedPostgres, database: str, **basic: Any) -> Any:
    return settings(
        OPERATORS,
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 8}},
        tiers={"basic": {"min_size": 0, "cap": 2, **basic}, "tiny": {"min_size": 0, "cap": 1}},
        tenants={"acme": {"dbname": database}},
    )


def override(**values: Any) -> Override:
    usual: dict[str, Any] = {
        "tenant": "acme",
        "tier": None,
        "suspended": None,
        "until": None,
        "author": "ops",
        "reason": "a <bill> is open",
        "made_at": time() - 60,
        "id": "abc123",
    }
    return Override(**(usual | values))


async def page_of(web: Web, **headers: str) -> str:
    """The words of acme's page."""
    return words((await web.get("/tenants/acme", **headers)).text)


def words(html: str) -> str:
    """What is read in the ``main`` of a page, or in all of a piece of one."""
    main = html.partition("<main")[2].partition(">")[2].partition("</main>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", main or html).split())


def look_of(server: Server) -> Look:
    assert server.http is not None
    return server.http.site.look


# -- scaling ---------------------------------------------------------------------------------------

SCALED = {"autoscale": {"floor": 2, "ceiling": 3, "interval": 0.02, "cooldown": 0}}


@on_latest
async def test_a_cap_that_was_scaled_is_shown_and_undone_by_administrators(
    postgres: EmbeddedPostgres, database: str
) -> None:
    made = small(postgres, database, **SCALED).model_copy(update={"sweep_interval": 0.02})
    async with serving(made) as (server, web), AsyncExitStack() as stack:
        scaling = server.manager.scaling
        for _ in range(2):
            await stack.enter_async_context(server.manager.connection("acme"))
        await wait_until_async(lambda: scaling.changes)
        text = await page_of(web)
        assert "its cap follows its use, 2 to 3" in text
        assert re.search(r"cap 2 → to 3 as \d+ % of it was in use", text)
        assert "Undo" not in text
        login = await web.log_in(OPERATOR)
        page = await web.get("/tenants/acme", cookie=login)
        assert "/act/undo-scaling" in page.text
        form = {"of": "acme", "token": page.form_token(), "back": "/tenants/acme"}
        elsewhere = {"cookie": login, "origin": "https://evil.example"}
        assert (await web.post("/act/undo-scaling", form, **elsewhere)).status == 403
        here = {"cookie": login, "origin": web.origin}
        assert (await web.post("/act/undo-scaling", form, **here)).status == 303
        assert server.manager.stats().tenants["acme"].cap == 2
        assert "left alone: its cap stays" in await page_of(web)
        assert (await web.post("/act/resume-scaling", form, **here)).status == 303
        assert not scaling.left_alone


@pytest.mark.parametrize("action", ["undo-scaling", "resume-scaling"])
async def test_there_is_no_scaling_of_a_tenant_that_is_none(action: str) -> None:
    async with serving(settings(OPERATORS)) as (server, web):
        bearer = {"authorization": f"Bearer {OPERATOR}"}
        assert (await web.post(f"/act/{action}", {"of": "nobody"}, **bearer)).status == 404
        assert not server.manager.scaling.left_alone


# -- limits ----------------------------------------------------------------------------------------


@on_latest
async def test_what_a_limit_on_trial_let_pass_is_shown(
    postgres: EmbeddedPostgres, database: str
) -> None:
    made = small(postgres, database, cap=1, enforce={"cap": False})
    async with serving(made) as (server, web):
        manager = server.manager
        async with manager.connection("acme"):
            assert "cap only counts what it would have refused; nothing so far." in (
                await page_of(web)
            )
            async with manager.connection("acme"):
                assert "refused: lent above cap 1" in await page_of(web)


@on_latest
async def test_what_is_above_a_lowered_limit_is_shown_until_it_is_back(
    postgres: EmbeddedPostgres, database: str
) -> None:
    async with serving(small(postgres, database)) as (server, web):
        manager = server.manager
        async with manager.connection("acme"), manager.connection("acme"):
            assert "Above its limit" not in await page_of(web)
            await manager.apply(overrides=Overrides([override(tier="tiny")]))
            assert "1 lease too many: the tenant may have 1 now. 2 leases asked back" in (
                await page_of(web)
            )
        assert "Above its limit" not in await page_of(web)


# -- operators -------------------------------------------------------------------------------------


async def test_a_suspended_tenant_says_so_with_the_reason() -> None:
    async with serving(settings()) as (server, web):
        assert "uspended" not in await page_of(web)
        await server.manager.apply(overrides=Overrides([override(suspended=True)]))
        for _ in "nobody asked for it yet", "somebody has":
            text = await page_of(web)
            assert "Suspended Override abc123 by ops: a &lt;bill&gt; is open." in text
            with pytest.raises(TenantSuspended):
                await server.manager.acquire("acme")


async def test_overrides_are_listed_with_what_they_replace_and_their_end() -> None:
    async with serving(settings()) as (server, web):
        made = override(tier="enterprise", until=time() + 3600 * 5)
        await server.manager.apply(overrides=Overrides([made]))
        row = "tier enterprise tier pro ops a &lt;bill&gt; is open 60 s ago in 5 h abc123"
        assert row in await page_of(web)
        assert f"acme {row}" in words((await web.get("/configuration")).text)


# -- advice ----------------------------------------------------------------------------------------


@on_latest
async def test_advice_is_on_the_page_of_the_tenant_and_on_the_overview(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = small(postgres, "gone", breaker={"failures": 1, "backoff": 30})
    made = made.model_copy(update={"sweep_interval": 0.02})
    monkeypatch.setattr("tenantpool.manager.advice._SHORTEST", 0.0)
    monkeypatch.setattr("tenantpool.observe.advisor._REST", 0.0)
    async with serving(made) as (server, web):
        server.manager.seat("acme")
        server.manager.recorder._next_round = 0.0  # the first may have been before
        await wait_until_async(lambda: list(server.manager.recorder.recent(1e12)))
        with pytest.raises(Refused):
            await server.manager.acquire("acme", timeout=5)
        await wait_until_async(lambda: acme_is_shut(server))
        advisor = look_of(server).advisor
        while not (await advisor.counsel()).advice:
            await asyncio.sleep(0)
        for path in "/tenants/acme", "/":
            text = words((await web.get(path)).text)
            assert "What to change" in text
            assert "create it, or correct dbname or user of the tenant" in text
        assert "What to change" not in words((await web.get("/databases/main")).text)


def acme_is_shut(server: Server) -> bool:
    return server.manager.stats().tenants["acme"].breaker != "closed"


# -- findings --------------------------------------------------------------------------------------


async def drawn(look: Look, *, may_read: bool) -> str:
    visitor = Visitor("", may_read_statements=may_read)
    values = await tenant_page(look, visitor, {}, "acme")
    return words(await render.main("tenant.html", values | {"visitor": visitor}))


async def test_what_statements_told_is_shown_with_the_fix() -> None:
    statement = "select * from orders where id = ?"
    insight = Insight()
    async with serving(settings()) as (server, _):
        look = look_of(server)
        assert "Nothing that should be looked at." in await drawn(look, may_read=True)
        nobody_collects = replace(look, source=replace(look.source, findings=None))
        assert "statements tell" not in await drawn(nobody_collects, may_read=True)
        look = replace(look, source=replace(look.source, findings=insight))
        assert "Nothing that should be looked at." in await drawn(look, may_read=True)
        for tenant in "acme", "acme", "globex":
            insight.note(
                Finding("slow statement", tenant, "took 1 s", "Add an index", statement, "a.py:1")
            )
        text = await drawn(look, may_read=True)
        assert "slow statement Took 1 s 2 times, last" in text
        assert f"Add an index at a.py:1 {statement}" in text
        hidden = await drawn(look, may_read=False)
        assert "Add an index at a.py:1 log in to read the statement" in hidden
        assert "orders" not in hidden
