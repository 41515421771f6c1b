"""What the pages say: the right tenants in the right order, and figures that are those of stats."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import Draining
from tenantpool.manager.stats import DatabaseStats
from tenantpool.observe import figures
from tenantpool.observe.bars import pieces
from tenantpool.observe.reading import Load
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

from .support import IDENTITIES, WATCHER, Web, looking, serving, settings


async def names(web: Web, query: str = "") -> list[str]:
    page = (await web.get(f"/tenants{query}")).text
    return re.findall(r'<th scope="row"><a class="name" href="/tenants/[^"]*">([^<]*)</a>', page)


async def test_ten_thousand_tenants_come_fifty_at_a_time() -> None:
    tenants: dict[str, object] = {f"t{number:05}": {} for number in range(10_000)}
    async with serving(settings(tenants=tenants)) as (_, web):
        assert await names(web) == [f"t{number:05}" for number in range(50)]
        assert await names(web, "?page=200") == [f"t{number:05}" for number in range(9950, 10_000)]
        assert "10,000 tenants, page 200 of 200" in (await web.get("/tenants?page=999")).text
        assert await names(web, "?q=T0123") == [f"t{number:05}" for number in range(1230, 1240)]
        assert await names(web, "?q=nobody") == []
        for odd in ("?page=-1", "?page=x", "?page=99999999999999999999", "?sort=x", "?show=x"):
            assert len(await names(web, odd)) == 50


@on_latest
async def test_tenants_can_be_ordered_and_chosen(postgres: EmbeddedPostgres, database: str) -> None:
    made = settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 8}},
        tiers={"basic": {"cap": 2, "min_size": 0}},
        tenants={name: {"dbname": database} for name in "abc"},
    )
    async with serving(made) as (server, web):
        manager = server.manager
        held = [await manager.acquire(name) for name in ("b", "c", "c")]
        waiting = asyncio.create_task(manager.acquire("c", timeout=20))
        await wait_until_async(lambda: manager.stats().tenants["c"].waiting)
        manager.seat("a")
        await manager.drain("a", 0.0)
        with pytest.raises(Draining):
            await manager.acquire("a")
        assert await names(web) == ["c", "b", "a"]
        assert await names(web, "?sort=name") == ["a", "b", "c"]
        assert (await names(web, "?sort=refused"))[0] == "a"
        for order in ("use", "waiting", "leases"):
            assert (await names(web, f"?sort={order}"))[0] == "c"
        shown = {"busy": ["c", "b"], "waiting": ["c"], "full": ["c"], "draining": ["a"]}
        for which, expected in shown.items():
            assert await names(web, f"?show={which}") == expected
        assert await names(web, "?show=breaker") == []
        overview = (await web.get("/")).text
        assert "3 of 7 connections lent" in overview
        assert "1 request waiting" in overview
        await manager.release(held.pop())
        held.append(await waiting)
        for conn in held:
            await manager.release(conn)


@pytest.mark.parametrize("name", ["a/b", "ä ö", "100%", "x?y#z", "..", "a&b=c"])
async def test_a_tenant_of_any_name_has_a_page(name: str) -> None:
    async with serving(settings(tenants={name: {"dbname": "x"}})) as (_, web):
        answer = await web.get(f"/tenants/{quote(name, safe='')}")
        assert answer.status == 200
        assert "Limits" in answer.text
        async with looking(web, quote(f"/tenants/{name}", safe="")) as events:
            assert "Limits" in await events.next("page")


async def test_a_tenant_that_nobody_serves_has_none() -> None:
    async with serving(settings()) as (_, web):
        answer = await web.get("/tenants/nobody", accept="text/html")
        assert answer.status == 404
        assert "nobody" in answer.text
        assert (await web.get("/databases/nowhere")).status == 404


@on_latest
async def test_statements_are_for_those_only_who_said_who_they_are(
    postgres: EmbeddedPostgres, database: str
) -> None:
    made = settings(
        {"identities": IDENTITIES},
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 8}},
        tiers={"basic": {"min_size": 0}},
        tenants={"acme": {"dbname": database}},
    )
    async with serving(made) as (server, web):
        conn = await server.manager.acquire("acme")
        await conn.execute("select 'a customer of acme'")
        login = await web.log_in(WATCHER)
        known = (await web.get("/databases/main", cookie=login)).text
        assert "idle in transaction" in known
        assert "select &#39;a customer of acme&#39;" in known
        unknown = (await web.get("/databases/main")).text
        assert "idle in transaction" in unknown
        assert "log in to read it" in unknown
        assert "a customer" not in unknown
        await server.manager.release(conn)


# -- the parts ---------------------------------------------------------------------------------


def stats(**counts: int) -> DatabaseStats:
    states = {"opening": 0, "idle": 0, "in_use": 0, "resetting": 0, "closing": 0} | counts
    rest = {"waiting": 0, "pools": 1, "connect_time": 0.01, "opened": 1, "breaker": "closed"}
    return DatabaseStats(name="main", capacity=100, used=sum(states.values()), **states, **rest)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 5)), max_size=60))
def test_a_bar_is_as_long_as_what_it_shows(tenants: list[tuple[str, int]]) -> None:
    in_use: dict[str, int] = {}
    for tier, count in tenants:
        in_use[tier] = in_use.get(tier, 0) + count
    lent = sum(in_use.values())
    if lent > 90:
        return
    loads = [
        Load(str(number), tier, "main", count, 0, 0, 5, 0.0, "closed")
        for number, (tier, count) in enumerate(tenants)
    ]
    found = pieces(stats(in_use=lent, idle=4, opening=1), loads, in_use, ["x", "y", "z"])
    ends = [piece.start + piece.width for piece in found]
    assert [piece.start for piece in found] == [0, *ends[:-1]]
    assert ends[-1] == 100
    assert sum(piece.width for piece in found if piece.kind == "tier") == lent
    assert [p.tier for p in found if p.kind == "tier"] == sorted(
        p.tier for p in found if p.kind == "tier"
    )


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.0004, "0.4 ms"),
        (0.0123, "12 ms"),
        (0.9999, "1.0 s"),
        (1.54, "1.5 s"),
        (59.6, "60 s"),
        (180, "3 min"),
        (7200, "2 h"),
        (864000, "10 d"),
    ],
)
def test_durations_are_short(seconds: float | None, said: str) -> None:
    assert figures.duration(seconds) == said


@given(st.floats(0, 1e9))
def test_every_duration_has_a_unit(seconds: float) -> None:
    assert re.fullmatch(r"[\d.]+ (ms|s|min|h|d)", figures.duration(seconds))


def test_what_is_not_a_second_old_is_just_now() -> None:
    assert [figures.ago(s) for s in (-0.1, 0.0, 0.9, 1.0, 120)] == [
        *("just now", "just now", "just now", "1.0 s ago", "2 min ago")
    ]


def test_numbers_have_separators_and_words_their_plural() -> None:
    assert [figures.number(n) for n in (0, 1234567, 2.0, 3.14, 250.7, None)] == [
        *("0", "1,234,567", "2", "3.1", "251", "–")
    ]
    assert (figures.plural(1, "lease"), figures.plural(2000, "lease")) == (
        "1 lease",
        "2,000 leases",
    )
