"""What statements told, on the overview, on a page of its own and on those of the tenants."""

from __future__ import annotations

import re
from html import unescape

from tenantpool.insight.finding import Finding
from tenantpool.observe.gathered import Gathered, gather, matching

from .support import IDENTITIES, WATCHER, Web, serving, settings
from .test_tenant_page import words

OPERATORS = {"identities": IDENTITIES}
SLOW = "select * from orders where total > ?"
LOOKUP = "select name from customers where id = ?"


def slow(tenant: str, **more: float) -> Finding:
    return Finding("slow statement", tenant, "took 1 s", "add an index", SLOW, "a.py:1", **more)  # type: ignore[arg-type]


def repeated(tenant: str) -> Finding:
    return Finding(
        "repeated statement", tenant, "12 times in one lease", "use `any(%s)`", LOOKUP, "b.py:2"
    )


async def shown(web: Web, path: str, **headers: str) -> str:
    """The words of the part that tells of findings."""
    page = (await web.get(path, **headers)).text
    part = re.search(r'id="findings".*?</section>|<h1>Findings.*?</main>', page, re.DOTALL)
    return unescape(words(part[0])) if part is not None else ""


async def test_what_statements_told_is_shown_with_the_fix() -> None:
    async with serving(settings(OPERATORS)) as (server, web):
        login = {"cookie": await web.log_in(WATCHER)}
        assert "Nothing was found." in await shown(web, "/tenants/acme", **login)
        for tenant in "acme", "acme", "globex":
            server.findings.note(slow(tenant))
        text = await shown(web, "/tenants/acme", **login)
        assert re.search(r"slow statement Took 1 s 2 times, last (just now|[\d.]+ s ago)", text)
        assert f"{SLOW} at a.py:1 Add an index." in text
        assert "globex" not in text
        hidden = await shown(web, "/tenants/acme")
        assert "at a.py:1 log in to read the statement Add an index." in hidden
        assert "orders" not in (await web.get("/tenants/acme")).text


async def test_the_overview_has_the_newest_of_all_tenants_shortly() -> None:
    async with serving(settings(OPERATORS)) as (server, web):
        login = {"cookie": await web.log_in(WATCHER)}
        assert await shown(web, "/", **login) == ""
        for tenant in "acme", "globex":
            server.findings.note(slow(tenant))
        server.findings.note(repeated("acme"))
        text = await shown(web, "/", **login)
        assert "What statements tell All findings" in text
        assert text.index("N+1 acme 12 times") < text.index("slow statement globex , acme Took 1 s")
        assert f"{LOOKUP} at b.py:2" in text
        assert "any(" not in text
        page = (await web.get("/", **login)).text
        assert '<a class="name" href="/tenants/globex">globex</a>' in page
        assert "orders" not in (await web.get("/")).text
        for number in range(9):
            server.findings.note(
                Finding("long lease", "acme", f"held {number}", "", "", f"c:{number}")
            )
        assert (await shown(web, "/", **login)).count("Held ") == 4


async def test_all_findings_can_be_searched_and_come_some_at_a_time() -> None:
    async with serving(settings(OPERATORS)) as (server, web):
        login = {"cookie": await web.log_in(WATCHER)}
        empty = await shown(web, "/findings", **login)
        assert "Nothing was found" in empty
        assert "insight: {enabled: true}" in empty
        server.findings.note(repeated("globex"))
        for number in range(30):
            server.findings.note(Finding("long lease", "acme", "held", "", "", f"c.py:{number}"))
        assert "31 findings, page 1 of 2 Next" in await shown(web, "/findings", **login)
        assert "N+1 globex 12 times" in await shown(web, "/findings?page=2", **login)
        assert "use any(%s)" in (await shown(web, "/findings?kind=N%2B1", **login)).lower()
        assert "1 finding" in await shown(web, "/findings?q=GLOB", **login)
        assert "1 finding" in await shown(web, "/findings?q=c.py:17", **login)
        assert "No finding is like that." in await shown(web, "/findings?q=customers", **login)


def test_the_same_of_many_tenants_is_one_thing() -> None:
    groups: dict[tuple[str, ...], Gathered] = {}
    gather(groups, [slow("b", times=2), repeated("a")])
    gather(groups, [slow("a", times=3), slow("b", times=1)])
    found = list(groups.values())
    assert [(one.kind, one.tenants, one.times) for one in found] == [
        ("slow statement", ["b", "a"], 6),
        ("N+1", ["a"], 1),
    ]
    assert found[0].latest.times == 2
    assert found[0].id == Gathered(slow("z")).id != found[1].id
    assert matching(found, "A", "N+1") == [found[1]]
