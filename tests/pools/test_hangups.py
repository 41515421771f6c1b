"""Connections whose server has hung up are told from those that only have something to read."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tenantpool.pools.hangups import hung_up

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture(params=["unix", "tcp"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Our end and the server's."""
    with ExitStack() as stack:
        if request.param == "unix":
            ours, theirs = socket.socketpair()
        else:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        yield stack.enter_context(ours), stack.enter_context(theirs)


def test_nothing_is_wrong_with_what_is_quiet_or_has_something_to_say(pair: Pair) -> None:
    ours, theirs = pair
    assert hung_up([ours.fileno()]) == []
    theirs.send(b"N")
    assert hung_up([ours.fileno()]) == []


def test_an_end_is_seen_behind_the_last_words(pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"terminating connection")
    theirs.close()
    assert hung_up([ours.fileno()]) == [ours.fileno()]
    assert ours.recv(100) == b"terminating connection", "nothing was taken"


def test_what_was_closed_here_meanwhile_does_not_count() -> None:
    ours, theirs = socket.socketpair()
    number = ours.fileno()
    ours.close()
    assert hung_up([number]) == []
    theirs.close()
