"""The framing in C does what the one in Python does, whatever is sent, in whatever pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.gateway.framing import Framing
from tenantpool.gateway.protocol import HEADER, ProtocolViolation

native = pytest.importorskip("tenantpool.gateway._splice", reason="the splice is not compiled")

LENGTHS = st.one_of(st.integers(0, 12), st.sampled_from([2**30 - 1, 2**30, 2**31, 2**32 - 1]))
HEADERS = st.builds(HEADER.pack, st.sampled_from(b"BCDEFHPQSXcdfpZGWEIT\0\xff"), LENGTHS)
FITTING = st.builds(
    lambda kind, body: HEADER.pack(kind, len(body) + 4) + body,
    st.sampled_from(b"BCDEFHPQSXcdfZGWEIT"),
    st.one_of(st.sampled_from([b"", b"I", b"T", b"E"]), st.binary(max_size=8)),
)
STREAMS = st.lists(st.one_of(FITTING, FITTING, HEADERS, st.binary(max_size=6))).map(b"".join)
CUTS = st.lists(st.integers(1, 12), min_size=1)


class Exact(Framing):
    """It looks at all that a backend says; the shortcut that Python needs for speed may err."""

    def answers(self, data: bytes) -> bytes:
        return self._follow_answers(data)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut by *sizes*, over and over."""
    found: list[bytes] = []
    while data:
        size = sizes[len(found) % len(sizes)]
        found.append(data[:size])
        data = data[size:]
    return found


def said(framing: Framing, is_client: bool, piece: bytes) -> bytes | str:
    try:
        return framing.requests(piece) if is_client else framing.answers(piece)
    except ProtocolViolation as error:
        return str(error)


def state(framing: Framing) -> tuple[object, ...]:
    counts = repr(framing).partition(" ")[2]
    rest = framing.rest_of_answers()
    return framing.is_clean, framing.answers_whole, framing.terminated, rest, counts


@given(STREAMS, STREAMS, CUTS, CUTS, st.randoms(use_true_random=False))
def test_agreement(requests: bytes, answers: bytes, cuts: list[int], more_cuts: list[int], random):
    ours, theirs = native.Framing(), Exact()
    queues = {True: pieces(requests, cuts), False: pieces(answers, more_cuts)}
    while any(queues.values()):
        is_client = random.choice([side for side, queue in queues.items() if queue])
        piece = queues[is_client].pop(0)
        outcome = said(ours, is_client, piece)
        assert outcome == said(theirs, is_client, piece)
        if isinstance(outcome, str) or theirs.terminated:
            break  # nobody asks them anything more
        assert state(ours) == state(theirs)
    assert ours.terminated == theirs.terminated
