"""A tenant's page: what decides how it is served, what to change, and what its statements told."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from time import time
from typing import Any

import pytest

from tenantpool.config.overrides import Override, Overrides
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import Refused, TenantSuspended
from tenantpool.observe.look import Look
from tenantpool.service.overriding import Wish
from tenantpool.service.server import Server
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .support import IDENTITIES, OPERATOR, WATCHER, Web, serving, settings

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
        made = override(tier="enterprise", until=time() + 3600 * 5, made_at=time() - 3600 * 3)
        await server.manager.apply(overrides=Overrides([made]))
        reason = "a &lt;bill&gt; is open"
        row = f"tier enterprise {reason} tier pro ops {reason} 3 h ago in 5 h abc123"
        assert row in await page_of(web)
        assert f"acme {row}" in words((await web.get("/configuration")).text)


async def test_an_override_is_removed_by_administrators_with_a_form_of_theirs() -> None:
    async with serving(settings(OPERATORS)) as (server, web):
        operator = server.guard.named("operator")
        assert operator is not None
        wish = Wish("acme", "enterprise", None, None, "their launch")
        made = await server.overriding.set(wish, operator)
        assert made.override is not None
        id_ = made.override.id
        for watching in {}, {"cookie": await web.log_in(WATCHER)}:
            for path in "/tenants/acme", "/configuration":
                assert "remove-override" not in (await web.get(path, **watching)).text
        login = await web.log_in(OPERATOR)
        page = await web.get("/configuration", cookie=login)
        assert "Back to tier pro, at once." in words(page.text)
        form = {"of": id_, "token": page.form_token(), "back": "/configuration"}
        for wrong in {"cookie": login, "origin": "https://evil.example"}, {"cookie": login}:
            assert (await web.post("/act/remove-override", form, **wrong)).status == 403
        assert server.manager.roster.tenant("acme").limits.tier == "enterprise"
        here = {"cookie": login, "origin": web.origin}
        assert (await web.post("/act/remove-override", form, **here)).status == 303
        assert server.manager.roster.tenant("acme").limits.tier == "pro"
        text = words((await web.get("/configuration", cookie=login)).text)
        assert "Overrides None." in text
        assert "applied Override by operator" in text
        assert (await web.post("/act/remove-override", form, **here)).status == 400


# -- advice ----------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advice is given at once, and not after it has been measured for a while."""
    monkeypatch.setattr("tenantpool.manager.recent._ROUND", 0.0)
    monkeypatch.setattr("tenantpool.manager.advice._SHORTEST", 0.0)
    monkeypatch.setattr("tenantpool.observe.advisor._REST", 0.0)


def shut(postgres: EmbeddedPostgres) -> Any:
    """The database of acme is not there."""
    made = small(postgres, "gone", breaker={"failures": 1, "backoff": 30})
    return made.model_copy(update={"sweep_interval": 0.02})


async def fail_for_acme(server: Server) -> None:
    """Let the breaker open of a tenant that is recorded."""
    server.manager.seat("acme")
    await wait_until_async(lambda: list(server.manager.recorder.recent(1e12)))
    with pytest.raises(Refused):
        await server.manager.acquire("acme", timeout=5)
    await wait_until_async(lambda: server.manager.stats().tenants["acme"].breaker != "closed")


@on_latest
async def test_advice_is_on_the_page_of_the_tenant_and_on_the_overview(
    postgres: EmbeddedPostgres, hasty: None
) -> None:
    async with serving(shut(postgres)) as (server, web):
        await fail_for_acme(server)
        advisor = look_of(server).advisor
        while not (await advisor.counsel()).advice:
            await asyncio.sleep(0)
        for path in "/tenants/acme", "/":
            text = words((await web.get(path)).text)
            assert "What to change" in text
            assert "create it, or correct dbname or user of the tenant" in text
        assert "What to change" not in words((await web.get("/databases/main")).text)
