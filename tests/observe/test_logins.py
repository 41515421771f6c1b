"""Logging in: what a login is, when it ends, and what keeps others from getting one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tenantpool.observe.logins import LIFETIME, Logins
from tenantpool.observe.throttle import Throttle
from tenantpool.service.identity import Identity

from .support import (
    ELSEWHERE,
    IDENTITIES,
    OPERATOR,
    PERSON,
    WATCHER,
    bearer,
    looking,
    serving,
    settings,
    web,
)


async def test_a_login_is_a_cookie_that_scripts_and_other_sites_do_not_get() -> None:
    async with web() as site:
        page = await site.get("/login")
        cookie = page.cookies[0].partition(";")[0]
        form = {"form": page.form_token("form"), "token": WATCHER, "next": "/leases"}
        answer = await site.post("/login", form, cookie=cookie, origin=site.origin)
        assert (answer.status, answer.headers["location"]) == (303, "/leases")
        said = answer.cookies[0].lower()
        assert "httponly" in said
        assert "samesite=strict" in said
        assert "secure" not in said
        assert WATCHER not in said
        login = answer.cookies[0].partition(";")[0]
        assert (await site.get("/", **ELSEWHERE, cookie=login)).status == 200


async def test_a_cookie_that_was_changed_or_made_elsewhere_is_none() -> None:
    async with web() as site, web() as other:
        login, foreign = await site.log_in(), await other.log_in()
        name, _, value = login.partition("=")
        changed = value[:-1] + ("a" if value[-1] != "a" else "b")
        for cookie in (foreign, f"{name}={changed}", f"{name}=x.y", f"{name}=", f"{name}=a.b.c.d"):
            assert (await site.get("/", **ELSEWHERE, cookie=cookie)).status == 401


async def test_logging_out_ends_it_for_whoever_has_the_cookie() -> None:
    async with web() as site:
        login = await site.log_in()
        page = await site.get("/", cookie=login)
        form = {"token": page.form_token()}
        answer = await site.post("/logout", form, cookie=login, origin=site.origin)
        assert answer.status == 303
        assert (await site.get("/", **ELSEWHERE, cookie=login)).status == 401


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({"token": "another-token-of-the-operator", "administer": True}, id="changed"),
        pytest.param({"token": OPERATOR, "tenants": ["*"]}, id="no right to look"),
        pytest.param(None, id="no identity"),
    ],
)
async def test_a_login_ends_with_its_token(rule: dict[str, Any] | None) -> None:
    """Live: no restart, and not twelve hours later."""
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        login, other = await site.log_in(), await site.log_in(WATCHER)
        left = {name: it for name, it in IDENTITIES.items() if name != "operator"}
        changed = left | ({"operator": rule} if rule is not None else {})
        async with looking(site, "/", cookie=login) as events:
            await events.next("page")
            server.adopt(settings({"identities": changed}))
            assert "log in again" in await events.next("end")
            await events.end()
        assert (await site.get("/", **ELSEWHERE, cookie=login)).status == 401
        assert (await site.get("/", **ELSEWHERE, cookie=other)).status == 200
        led = await site.get("/leases", **ELSEWHERE, **PERSON, cookie=login)
        assert led.headers["location"] == "/login?next=/leases&ended=1"
        assert "Your login has ended" in (await site.get(led.headers["location"])).text
        here = await site.get("/", cookie=login)
        assert "Your login has ended" in here.text
        assert here.cookies[0].startswith('tenantpool_login=""')


async def test_a_login_outlives_what_is_not_its_own_token() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        login = await site.log_in()
        newer = {"tokens": ["a-newer-token-of-the-operator"], **IDENTITIES["operator"]}
        server.adopt(settings({"identities": {"operator": newer}}))
        assert (await site.get("/", **ELSEWHERE, cookie=login)).status == 200


async def test_a_login_has_the_rights_of_now() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        login = await site.log_in()
        assert "/act/drain" in (await site.get("/tenants/acme", cookie=login)).text
        async with looking(site, "/tenants/acme", cookie=login) as events:
            assert "/act/drain" in await events.next("page")
            less = {"token": OPERATOR, "observe": True}
            server.adopt(settings({"identities": {"operator": less}}))
            assert "your rights have changed" in await events.next("end")
        assert "/act/drain" not in (await site.get("/tenants/acme", cookie=login)).text


def test_there_are_never_more_than_a_thousand_logins_and_none_that_is_over() -> None:
    logins, who = Logins(), Identity("operator")
    first = logins.begin(0.0, who)
    last = [logins.begin(1.0, who) for _ in range(1000)][-1]
    assert (logins.check(1.0, first), logins.check(1.0, last)) == (None, who)
    assert repr(logins) == "<Logins 1000 logged in>"
    assert logins.check(1.0 + LIFETIME, last) is None
    logins.begin(1.0 + LIFETIME, who)
    assert repr(logins) == "<Logins 1 logged in>"


async def test_a_login_needs_a_form_of_ours() -> None:
    async with web() as site:
        page = await site.get("/login")
        cookie, token = page.cookies[0].partition(";")[0], page.form_token("form")
        form = {"form": token, "token": OPERATOR}
        for headers in (
            {"cookie": cookie},
            {"cookie": cookie, "origin": "http://evil.example"},
            {"cookie": cookie, "origin": "null"},
            {"origin": site.origin},
        ):
            assert (await site.post("/login", form, **headers)).status == 403


async def test_wrong_tokens_are_slowed_down() -> None:
    async with web() as site:
        assert (await site.get("/", **bearer("x" * 20))).status == 401
        answer = await site.get("/", **bearer(OPERATOR))
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) >= 1

        async def is_known_again() -> bool:
            return (await site.get("/", **bearer(OPERATOR))).status == 200

        async with asyncio.timeout(10):
            while not await is_known_again():
                await asyncio.sleep(0.05)


def test_each_failure_doubles_the_wait_of_its_address_and_a_success_ends_it() -> None:
    throttle = Throttle()
    waits = []
    for _ in range(7):
        throttle.failed(100.0, "a")
        waits.append(throttle.wait(100.0, "a"))
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert throttle.wait(100.0, "b") == 0.0
    assert throttle.wait(111.0, "a") == 0.0
    throttle.succeeded("a")
    throttle.failed(120.0, "a")
    assert throttle.wait(120.0, "a") == 0.5


def test_addresses_that_fail_are_forgotten_in_the_end() -> None:
    throttle = Throttle()
    for number in range(20_000):
        throttle.failed(0.0, str(number))
    assert repr(throttle) == "<Throttle 10000 addresses>"


@pytest.mark.parametrize(
    "address", ["https://evil.example", "//evil.example", "/\\evil.example", "/\n", "evil"]
)
async def test_nobody_is_sent_to_another_site(address: str) -> None:
    async with web() as site:
        login = await site.log_in()
        page = await site.get("/tenants/acme", cookie=login)
        form = {"token": page.form_token(), "of": "acme", "back": address}
        answer = await site.post("/act/drain", form, cookie=login, origin=site.origin)
        assert answer.headers["location"] == "/"
