"""The wipe of the service, which libpq hears nothing of, proves as much as the other one."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools import quick_wipe
from tests.pools._async.conftest import OpenLink, open_link
from tests.pools._async.test_leaks_on_the_server import MARKS, look
from tests.pools._async.test_wipe import LEFT
from tests.pools.frames import converse
from tests.support.servers import on_latest

__all__ = ["open_link"]


async def wipe(link, timeout: float = 20.0) -> str:
    """Wipe quickly; return the problem."""
    problems: list[str] = []
    link.is_lent_away = True
    work = link.wipe_quickly(0.0, timeout, problems.append)
    assert work is not None
    await work
    (problem,) = problems
    return problem


@pytest.mark.parametrize(("leave", "shows"), MARKS.values(), ids=MARKS)
async def test_no_mark_of_the_holder_is_left(
    leave: str, shows: str, postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    clean = await look(link.conn, shows)
    converse(link.socket, leave)

    assert await wipe(link) == ""

    assert await look(link.conn, shows) == clean
    assert link.is_clean
    assert not link.is_shared


@on_latest
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
async def test_what_is_under_way_is_found_out(
    left: bytes, postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    link.socket.send(left)
    assert await wipe(link, 0.3)
    assert link.is_shared


@on_latest
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
async def test_what_has_been_under_way_for_a_while_is_found_out(
    left: bytes, postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    link.socket.send(left)
    postgres.execute("select pg_sleep(0.15)")  # time for an answer
    assert await wipe(link, 0.3)


@on_latest
async def test_settings_that_are_reported_change_back(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    known = link.parameters
    converse(link.socket, "set timezone = 'Asia/Tokyo'; set datestyle = german")
    assert await wipe(link) == ""
    row = await (await link.conn.execute("show timezone")).fetchone()
    assert row == (known["TimeZone"],)
    assert link.parameters is known


@on_latest
async def test_a_notification_that_comes_in_between_is_dropped(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    converse(link.socket, "listen news")
    postgres.execute("notify news", dbname=database)
    assert await wipe(link) == ""


@on_latest
async def test_a_backend_that_is_gone_is_found_out(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    postgres.execute("select pg_terminate_backend(%s, 5000)", [link.pid])
    assert await wipe(link)


@on_latest
async def test_only_the_other_wipe_will_do_where_libpq_has_changed_settings(
    postgres: EmbeddedPostgres, database: str, open_link: OpenLink
):
    link = await open_link(postgres.dsn(database))
    known = link.parameters
    link.is_lent_away = True
    await link.switch("set timezone = 'Asia/Tokyo'", undo=False)
    assert link.parameters["TimeZone"] == "Asia/Tokyo"
    assert link.wipe_quickly(0.0, 1.0, print) is None
    await link.wipe(20)
    assert link.parameters == known
    assert await wipe(link) == ""


ASIDES = st.lists(
    st.tuples(st.sampled_from([b"S", b"N", b"A"]), st.binary(max_size=40)), max_size=4
)


@given(asides=ASIDES, cuts=st.lists(st.integers(0, 200), max_size=5), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_an_answer_is_understood_in_whatever_pieces_it_comes(asides, cuts, data) -> None:
    asyncio.run(_answer_in_pieces(asides, cuts, data))


async def _answer_in_pieces(asides, cuts, data) -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        problems: list[str] = []
        work = quick_wipe.QuickWipe(ours, 0.0, 20.0, problems.append)
        theirs.recv(1000)
        frames = [b"C", b"Z", b"T", b"D", b"C", b"Z"]
        answer = work._expected
        for kind, body in asides:  # between two of the frames
            at = _boundaries(answer)[data.draw(st.integers(0, len(frames)))]
            answer = answer[:at] + quick_wipe._message(kind, body) + answer[at:]
            frames.append(kind)
        for start, end in _pieces(len(answer), cuts):
            theirs.send(answer[start:end])
            await asyncio.sleep(0)
        await work
        assert problems == [""]


def _boundaries(answer: bytes) -> list[int]:
    found, at = [0], 0
    while at < len(answer):
        at += 1 + int.from_bytes(answer[at + 1 : at + 5], "big")
        found.append(at)
    return found


def _pieces(length: int, cuts: list[int]) -> list[tuple[int, int]]:
    at = sorted({0, length, *(cut for cut in cuts if cut < length)})
    return list(pairwise(at))
