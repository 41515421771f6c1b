"""The wipe of the service, which libpq hears nothing of, proves as much as the other one."""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.pools import quick_wipe
from tenantpool.pools.quick_wipe import Wiper
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
    wiper = Wiper(timeout)
    assert link.wipe_quickly(wiper, problems.append)
    await wiper.close()
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
    wiper = Wiper(1.0)
    assert not link.wipe_quickly(wiper, print)
    await wiper.close()
    await link.wipe(20)
    assert link.parameters == known
    assert await wipe(link) == ""


async def test_the_answers_of_others_do_not_wait_for_one_that_does_not_come() -> None:
    problems: list[tuple[str, str]] = []
    wiper = Wiper(0.2)
    pairs = [_pair() for _ in range(3)]
    for name, (ours, _) in zip("abc", pairs, strict=True):
        wiper.wipe(ours, partial(_note, problems, name))
    for at in (2, 1):
        theirs = pairs[at][1]
        theirs.send(answer_to(theirs.recv(1000)))
    await wiper.close()
    assert sorted(problems) == [("a", "no answer in time"), ("b", ""), ("c", "")]
    _close(pairs)


async def test_one_whose_server_has_gone_ends_at_once() -> None:
    problems: list[str] = []
    wiper = Wiper(20.0)
    pairs = [_pair(), _pair()]
    pairs[0][1].close()
    for ours, _ in pairs:
        wiper.wipe(ours, problems.append)
    pairs[1][1].close()
    await wiper.close()
    assert len(problems) == 2
    assert all(problems)
    _close(pairs)


def _note(problems: list[tuple[str, str]], name: str, problem: str) -> None:
    problems.append((name, problem))


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs


def _close(pairs: list[tuple[socket.socket, socket.socket]]) -> None:
    for pair in pairs:
        for end in pair:
            end.close()


FRAMES = [b"1", b"2", b"C", b"1", b"t", b"T", b"Z"]


def answer_to(question: bytes) -> bytes:
    """What a server says to a wipe."""
    nonce = question.partition(b"SELECT 1 AS n")[2].partition(b"\0")[0]
    return quick_wipe._ANSWER + nonce + quick_wipe._ANSWERED


ASIDES = st.lists(
    st.tuples(st.sampled_from([b"S", b"N", b"A"]), st.binary(max_size=40)), max_size=4
)


@given(asides=ASIDES, cuts=st.lists(st.integers(0, 200), max_size=5), data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_an_answer_is_understood_in_whatever_pieces_it_comes(asides, cuts, data) -> None:
    asyncio.run(_answer_in_pieces(asides, cuts, data))


async def _answer_in_pieces(asides, cuts, data) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        problems: list[str] = []
        wiper = Wiper(20.0)
        wiper.wipe(ours, problems.append)
        frames = list(FRAMES)
        answer = answer_to(theirs.recv(1000))
        for kind, body in asides:  # between two of the frames
            at = _boundaries(answer)[data.draw(st.integers(0, len(frames)))]
            answer = answer[:at] + quick_wipe._message(kind, body) + answer[at:]
            frames.append(kind)
        for start, end in _pieces(len(answer), cuts):
            theirs.send(answer[start:end])
            await asyncio.sleep(0)
        await wiper.close()
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
