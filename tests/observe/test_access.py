"""Who may look, and who may steer: each rule over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.service.certificates import Authority

from .support import (
    ELSEWHERE,
    IDENTITIES,
    OPERATOR,
    PERSON,
    WATCHER,
    WORKER,
    Answer,
    Web,
    bearer,
    client_context,
    serving,
    settings,
    web,
)

PAGES = [
    "/",
    "/tenants",
    "/tenants/acme",
    "/databases/main",
    "/leases",
    "/findings",
    "/alerts",
    "/configuration",
]


# -- looking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/metrics"])
async def test_on_this_host_anybody_may_look(path: str) -> None:
    async with web() as site:
        assert (await site.get(path)).status == 200


@pytest.mark.parametrize("path", [*PAGES, "/metrics", "/live?view=/"])
async def test_from_elsewhere_nobody_may_look_without_a_login(path: str) -> None:
    async with web() as site:
        answer = await site.get(path, **ELSEWHERE)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_browser_from_elsewhere_is_led_to_the_login() -> None:
    async with web() as site:
        answer = await site.get("/leases", **ELSEWHERE, **PERSON)
        assert (answer.status, answer.headers["location"]) == (303, "/login?next=/leases")


async def test_without_any_token_there_is_no_login_and_the_fix_is_said() -> None:
    async with web({"identities": {}}) as site:
        answer = await site.get("/", **ELSEWHERE, **PERSON)
        assert answer.status == 401
        assert "only this host may look" in answer.text.lower()
        assert "administer" in answer.text
        here = await site.get("/", **PERSON)
        assert "Read-only: to steer, give an identity" in here.text
        assert "Log in" not in here.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9432", "127.0.0.1.evil.example", ""]
)
async def test_a_name_that_was_made_to_point_here_is_not_this_host(host: str) -> None:
    async with web() as site:
        assert (await site.get("/", host=host)).status in (400, 401)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.8.8.8", "[::1]:1"])
async def test_the_own_names_of_this_host_are(host: str) -> None:
    async with web() as site:
        assert (await site.get("/", host=host)).status == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
async def test_who_comes_through_a_proxy_is_not_this_host(header: str) -> None:
    async with web() as site:
        assert (await site.get("/", **{header: "127.0.0.1"})).status == 401


@pytest.mark.parametrize("token", [OPERATOR, WATCHER])
async def test_a_token_opens_pages_and_metrics(token: str) -> None:
    async with web() as site:
        for path in [*PAGES, "/metrics"]:
            assert (await site.get(path, **ELSEWHERE, **bearer(token))).status == 200


async def test_an_identity_that_only_leases_may_not_look() -> None:
    async with web() as site:
        answer = await site.get("/", **bearer(WORKER))
        assert answer.status == 403
        assert "worker may not look: it needs observe or administer" in answer.text


async def test_metrics_can_be_open_to_everybody_and_nothing_else_then_is() -> None:
    async with web({"metrics_open": True}) as site:
        assert (await site.get("/metrics", **ELSEWHERE)).status == 200
        assert (await site.get("/", **ELSEWHERE)).status == 401


async def test_health_checks_are_open() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        for path in ("/healthz", "/readyz"):
            assert (await site.get(path, **ELSEWHERE)).status == 200
        server.desk.drain(0.0)
        assert (await site.get("/healthz", **ELSEWHERE)).status == 200
        ready = await site.get("/readyz", **ELSEWHERE)
        assert (ready.status, ready.text) == (503, "closing: no new leases\n")


# -- steering ----------------------------------------------------------------------------------


async def drain(site: Web, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
    return await site.post("/act/drain", {"of": "acme", **(form or {})}, **headers)


async def test_an_administrator_steers_with_a_form_of_its_own() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        login = await site.log_in()
        page = await site.get("/tenants/acme", cookie=login)
        form = {"token": page.form_token(), "back": "/tenants/acme?q=1"}
        answer = await drain(site, form, cookie=login, origin=site.origin)
        assert answer.status == 303
        assert answer.headers["location"] == "/tenants/acme?q=1"
        assert server.manager.stats().tenants["acme"].draining
        shown = [(await site.get("/tenants/acme?q=1", cookie=login)).text for _ in range(2)]
        assert ["acme is being drained." in text for text in shown] == [True, False]
        again = {"token": page.form_token(), "of": "acme"}
        await site.post("/act/resume", again, cookie=login, origin=site.origin)
        assert not server.manager.stats().tenants["acme"].draining


async def test_a_form_from_another_site_does_nothing() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        login = await site.log_in()
        token = (await site.get("/tenants/acme", cookie=login)).form_token()
        for form, headers in (
            ({"token": token}, {"cookie": login}),
            ({"token": token}, {"cookie": login, "origin": "https://evil.example"}),
            ({"token": token}, {"cookie": login, "origin": "null"}),
            ({"token": ""}, {"cookie": login, "origin": site.origin}),
            ({"token": "x" * 43}, {"cookie": login, "origin": site.origin}),
            ({}, {"cookie": login, "origin": site.origin}),
        ):
            assert (await drain(site, form, **headers)).status == 403
        assert "acme" not in server.manager.stats().tenants


async def test_the_form_of_one_login_is_no_use_to_another() -> None:
    async with web() as site:
        mine, other = await site.log_in(), await site.log_in()
        token = (await site.get("/tenants/acme", cookie=other)).form_token()
        answer = await drain(site, {"token": token}, cookie=mine, origin=site.origin)
        assert answer.status == 403


async def test_nobody_steers_without_a_login_not_even_here() -> None:
    async with web() as site, web({"identities": {}}) as trusting:
        for each in (site, trusting):
            answer = await drain(each, origin=each.origin)
            assert answer.status == 403
            assert "log in" in answer.text
        assert "Drain" not in (await site.get("/tenants/acme")).text


async def test_who_only_observes_does_not_steer() -> None:
    async with web() as site:
        login = await site.log_in(WATCHER)
        page = await site.get("/tenants/acme", cookie=login)
        assert "Drain" not in page.text
        form = {"token": page.form_token()}
        answer = await drain(site, form, cookie=login, origin=site.origin)
        assert (answer.status, answer.text) == (403, "watcher may not administer\n")


async def test_a_script_with_a_token_needs_no_form() -> None:
    async with serving(settings({"identities": IDENTITIES})) as (server, site):
        assert (await drain(site, None, **bearer(OPERATOR))).status == 303
        assert server.manager.stats().tenants["acme"].draining


@pytest.mark.parametrize(
    ("action", "of", "status"),
    [
        ("explode", "acme", 400),
        ("drain", "", 400),
        ("drain", "nobody", 404),
        ("revoke", "acme/worker/1", 410),
    ],
)
async def test_what_cannot_be_done_says_why(action: str, of: str, status: int) -> None:
    async with web() as site:
        answer = await site.post(f"/act/{action}", {"of": of}, **bearer(OPERATOR))
        assert answer.status == status
        assert answer.text.strip()


async def test_who_clicks_is_told_on_the_page_what_could_not_be_done() -> None:
    async with web() as site:
        login = await site.log_in()
        token = (await site.get("/tenants/acme", cookie=login)).form_token()
        form = {"of": "acme/worker/1", "token": token, "back": "/leases"}
        here = {"cookie": login, "origin": site.origin, **PERSON}
        answer = await site.post("/act/revoke", form, **here)
        assert (answer.status, answer.headers["location"]) == (303, "/leases")
        shown = (await site.get("/leases", cookie=login)).text
        assert 'role="alert">That did not work: acme/worker/1: there is no such lease' in shown


async def test_nobody_can_make_a_link_that_says_something_on_our_page() -> None:
    async with web() as site:
        login = await site.log_in()
        assert "hello" not in (await site.get("/?said=hello&notice=hello", cookie=login)).text


async def test_only_forms_are_forms_and_short() -> None:
    async with web() as site:
        said = bearer(OPERATOR) | {"content-type": "application/json"}
        assert (await site.ask("POST", "/act/drain", said, "{}")).status == 400
        assert (await drain(site, {"x": "y" * 5000}, **bearer(OPERATOR))).status == 400
        assert (await site.get("/act/drain")).status == 404


# -- what every answer carries -----------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/login", "/metrics", "/healthz", "/static/page.js", "/live?view=/nope"]
)
async def test_every_answer_keeps_other_sites_out(path: str) -> None:
    async with web() as site:
        answer = await site.get(path)
        headers = answer.headers
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in headers
        assert path.startswith("/static/") or headers["cache-control"] == "no-store"


async def test_no_page_has_a_script_or_a_style_in_it() -> None:
    async with web() as site:
        for path in [*PAGES, "/login"]:
            text = (await site.get(path)).text
            assert " style=" not in text
            assert "<style" not in text
            assert text.count("<script") == text.count("<script src=")
            assert "http://" not in text.replace(site.origin, "")
            assert "https://" not in text


async def test_names_are_escaped_wherever_they_stand() -> None:
    evil = "<b>\"'&x"
    async with web(tenants={evil: {}}) as site:
        for path in ("/tenants?q=%3Cb", f"/tenants/{'%3Cb%3E%22%27%26x'}", "/configuration"):
            answer = await site.get(path)
            assert answer.status == 200
            assert evil not in answer.text
            assert "&lt;b&gt;" in answer.text


async def test_no_secret_is_on_the_page_of_the_configuration() -> None:
    databases = {"main": {"conninfo": "host=/nowhere password=geheim", "capacity": 5}}
    async with web(databases=databases) as site:
        text = (await site.get("/configuration")).text
        for secret in ("geheim", OPERATOR, WATCHER, WORKER):
            assert secret not in text


# -- TLS ---------------------------------------------------------------------------------------


async def test_with_tls_cookies_are_secure_and_a_new_certificate_is_shown(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("server", "localhost", "IP:127.0.0.1")
    tls = {"certificate": str(certificate), "key": str(key)}
    async with web({"tls": tls}) as site:
        assert site.origin.startswith("https://")
        site.context = client_context(authority.certificate)
        login = await site.get("/login")
        assert "secure" in login.cookies[0].lower()
        before = await _serial(site)
        authority.replace("server", "localhost", "IP:127.0.0.1")

        async def has_changed() -> bool:
            return await _serial(site) != before

        assert await has_changed()


async def _serial(site: Web) -> str:
    _, writer = await site.begin("GET", "/healthz", {})
    try:
        return str(writer.get_extra_info("peercert")["serialNumber"])
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_client_certificate_is_asked_for_where_all_clients_need_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("server", "localhost", "IP:127.0.0.1")
    tls = {
        "certificate": str(certificate),
        "key": str(key),
        "client_ca": str(authority.certificate),
    }
    async with web({"tls": tls}) as site:
        site.context = client_context(authority.certificate)
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await site.get("/healthz")
        own, own_key = authority.sign("client", "somebody")
        site.context.load_cert_chain(own, own_key)
        assert (await site.get("/healthz")).status == 200
