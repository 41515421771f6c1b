"""Following messages: in any pieces, and knowing when nothing is under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.gateway.framing import Framing
from tenantpool.gateway.protocol import READY_FOR_QUERY, ProtocolViolation, message

if TYPE_CHECKING:
    from tenantpool.gateway._splice import Framing as NativeFraming

Kind = Callable[[], "Framing | NativeFraming"]

KINDS: list[Kind] = [Framing]
"""And the one in C, if it was compiled."""
with suppress(ImportError):
    from tenantpool.gateway import _splice

    KINDS.append(_splice.Framing)

pytestmark = pytest.mark.parametrize("kind", KINDS, ids=["Python", "C"][: len(KINDS)])

BODIES = st.binary(max_size=20)
REQUESTS = st.builds(message, st.sampled_from([bytes([k]) for k in b"BCDEFHPQScdf"]), BODIES)
ANSWERS = st.builds(message, st.sampled_from([bytes([k]) for k in b"123ACDEHNSTcdnst"]), BODIES)
READIES = st.builds(message, st.just(b"Z"), st.sampled_from([b"I", b"T", b"E"]))

QUERY = message(b"Q", b"select 1\0")
ROWS = message(b"T", b"x") + message(b"D", b"y") + message(b"C", b"SELECT 1\0")
EXTENDED = b"".join(message(bytes([kind]), b"x") for kind in b"PBDE")
SYNC, FLUSH = message(b"S", b""), message(b"H", b"")
COPY_IN, COPY_DONE = message(b"G", b"x"), message(b"c", b"")
DATA = message(b"d", b"1\n")
ERROR = message(b"E", b"SERROR\0\0")


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def feed(follow: Callable[[bytes], bytes], data: bytes, cuts: Iterable[int]) -> bytes:
    return b"".join(follow(piece) for piece in pieces(data, cuts))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """What a client asks, and a beginning of what a backend may answer."""
    requests = draw(st.lists(REQUESTS))
    most = sum(request[:1] in (b"Q", b"S", b"F") for request in requests)
    ends = draw(st.lists(READIES, max_size=most))
    answers = [b"".join([*draw(st.lists(ANSWERS)), end]) for end in ends]
    answers += draw(st.lists(ANSWERS))
    return b"".join(requests), b"".join(answers)


@given(conversations(), st.lists(st.integers(0)), st.lists(st.integers(0)))
def test_pieces_are_as_good_as_the_whole(
    kind: Kind, conversation: tuple[bytes, bytes], cuts: list[int], more_cuts: list[int]
):
    requests, answers = conversation
    whole, parts = kind(), kind()
    assert whole.requests(requests) == requests
    assert feed(parts.requests, requests, cuts) == requests
    assert whole.answers(answers) == answers
    assert feed(parts.answers, answers, more_cuts) == answers
    assert (parts.is_clean, parts.answers_whole) == (whole.is_clean, whole.answers_whole)


@given(st.lists(REQUESTS), st.binary(max_size=30), st.lists(st.integers(0)))
def test_terminate_and_what_follows_stay_here(
    kind: Kind, asked: list[bytes], rest: bytes, cuts: list[int]
):
    requests = b"".join(asked)
    framing, forwarded = kind(), b""
    for piece in pieces(requests + message(b"X", b"") + rest, cuts):
        if not framing.terminated:
            forwarded += framing.requests(piece)
    assert framing.terminated
    assert forwarded == requests


@given(st.binary(max_size=60), st.lists(st.integers(0)))
def test_garbage_is_refused_in_pieces_too(kind: Kind, data: bytes, cuts: list[int]):
    def outcome(cuts: list[int]) -> tuple[bytes, str]:
        framing, forwarded = kind(), b""
        try:
            for piece in pieces(data, cuts):
                if not framing.terminated:
                    forwarded += framing.requests(piece)
        except ProtocolViolation as error:
            return b"", str(error)
        return forwarded, ""

    assert outcome(cuts) == outcome([])


@given(st.binary(max_size=60), st.lists(st.integers(0)))
def test_a_backend_may_say_anything(kind: Kind, data: bytes, cuts: list[int]):
    framing = kind()
    assert feed(framing.answers, data, cuts) + framing.rest_of_answers() == data


@pytest.mark.parametrize("bad", [b"\0\0\0\0\4", b"Q\0\0\0\3", b"Q\x7f\xff\xff\xff", b"p\0\0\0\4"])
def test_what_can_not_be_a_message(kind: Kind, bad: bytes):
    with pytest.raises(ProtocolViolation, match="invalid message"):
        kind().requests(bad)


Step = tuple[str, bytes]


def after(kind: Kind, *steps: Step) -> Framing | NativeFraming:
    framing = kind()
    for side, data in steps:
        follow = framing.requests if side == "client" else framing.answers
        assert follow(data) == data
    return framing


CLIENT, BACKEND = "client", "backend"
READY = READY_FOR_QUERY


@pytest.mark.parametrize(
    "steps",
    {
        "nothing": [],
        "a query": [(CLIENT, QUERY), (BACKEND, ROWS + READY)],
        "an answer in two": [(CLIENT, QUERY), (BACKEND, ROWS), (BACKEND, READY)],
        "two at once": [(CLIENT, QUERY + QUERY), (BACKEND, (ROWS + READY) * 2)],
        "extended": [(CLIENT, EXTENDED + SYNC), (BACKEND, ROWS + READY)],
        "pipeline": [(CLIENT, (EXTENDED + SYNC) * 3), (BACKEND, (ROWS + READY) * 3)],
        "notification": [(BACKEND, message(b"A", b"x"))],
        "copy in": [
            (CLIENT, QUERY),
            (BACKEND, COPY_IN),
            (CLIENT, DATA + COPY_DONE),
            (BACKEND, READY),
        ],
        "copy in fails late": [
            (CLIENT, QUERY),
            (BACKEND, COPY_IN),
            (CLIENT, DATA),
            (BACKEND, ERROR + READY),
            (CLIENT, DATA + COPY_DONE),
        ],
        "copy in, extended, as libpq does": [
            (CLIENT, EXTENDED + SYNC),
            (BACKEND, COPY_IN),
            (CLIENT, DATA + COPY_DONE + SYNC),
            (BACKEND, READY),
        ],
        "its sync comes late": [
            (CLIENT, EXTENDED),
            (BACKEND, COPY_IN),
            (CLIENT, SYNC + DATA + COPY_DONE + SYNC),
            (BACKEND, READY),
        ],
        "copy in, extended, refused": [(CLIENT, EXTENDED + SYNC), (BACKEND, ERROR + READY)],
    }.values(),
)
def test_clean(kind: Kind, steps: list[Step]):
    assert after(kind, *steps).is_clean


@pytest.mark.parametrize(
    "steps",
    {
        "unanswered": [(CLIENT, QUERY)],
        "half answered": [(CLIENT, QUERY), (BACKEND, ROWS)],
        "one of two answered": [(CLIENT, QUERY + QUERY), (BACKEND, ROWS + READY)],
        "in a transaction": [(CLIENT, QUERY), (BACKEND, message(b"Z", b"T"))],
        "in a failed transaction": [(CLIENT, QUERY), (BACKEND, message(b"Z", b"E"))],
        "without sync": [(CLIENT, EXTENDED)],
        "flush is no sync": [(CLIENT, EXTENDED + FLUSH), (BACKEND, ROWS)],
        "in copy": [(CLIENT, QUERY), (BACKEND, COPY_IN), (CLIENT, DATA)],
        "in copy, extended": [(CLIENT, EXTENDED + SYNC), (BACKEND, COPY_IN)],
        "copy, extended, not synced": [
            (CLIENT, EXTENDED + SYNC),
            (BACKEND, COPY_IN),
            (CLIENT, DATA + COPY_DONE),
            (BACKEND, message(b"C", b"COPY 1\0")),
        ],
        "a query within copy": [
            (CLIENT, QUERY),
            (BACKEND, COPY_IN),
            (CLIENT, QUERY),
            (BACKEND, ERROR + READY),
        ],
        "more answers than questions": [(BACKEND, READY), (CLIENT, QUERY), (BACKEND, READY)],
        "replication": [(CLIENT, QUERY), (BACKEND, message(b"W", b"x")), (BACKEND, READY)],
    }.values(),
)
def test_not_clean(kind: Kind, steps: list[Step]):
    assert not after(kind, *steps).is_clean


def test_half_messages_are_not_clean(kind: Kind):
    framing = kind()
    assert framing.requests(b"Q\0\0\0\x20select") == b"Q\0\0\0\x20select"
    assert not framing.is_clean
    framing = kind()
    framing.answers(message(b"A", b"x")[:-1])
    assert not framing.is_clean
    assert not framing.answers_whole


def test_the_head_of_a_terminate_stays_here(kind: Kind):
    framing = kind()
    assert framing.requests(QUERY + b"X\0\0") == QUERY
    assert framing.requests(b"\0\4") == b""
    assert framing.terminated
