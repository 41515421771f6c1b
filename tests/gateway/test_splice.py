"""The splice's engine by itself: sockets, its thread, and nothing of asyncio or PostgreSQL."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantpool.gateway.protocol import READY_FOR_QUERY, message
from tests.support.wait import wait_until

if TYPE_CHECKING:
    from tenantpool.gateway._splice import Engine
else:
    _splice = pytest.importorskip("tenantpool.gateway._splice", reason="the splice is not compiled")
    Engine = _splice.Engine

QUERY = message(b"Q", b"select 1\0")
ANSWER = message(b"C", b"SELECT 1\0") + READY_FOR_QUERY
TERMINATE = message(b"X", b"")


class Couple:
    """A client and a backend that are linked; ``client`` and ``backend`` are their own ends."""

    def __init__(self, engine: Engine, greeting: bytes = b"", ahead: bytes = b"") -> None:
        self.engine = engine
        self.client, self.near_client = socket.socketpair()
        self.backend, self.near_backend = socket.socketpair()
        for end in (self.client, self.backend):
            end.settimeout(10)
        near = (self.near_client.fileno(), self.near_backend.fileno())
        self.key = engine.join(*near, greeting, ahead)

    def close(self) -> None:
        for end in (self.client, self.near_client, self.backend, self.near_backend):
            end.close()

    def ask(self) -> None:
        """A query, and its answer."""
        self.client.sendall(QUERY)
        assert receive(self.backend, len(QUERY)) == QUERY
        self.backend.sendall(ANSWER)
        assert receive(self.client, len(ANSWER)) == ANSWER

    def has_ended(self) -> bool:
        return self.key in self.engine.ended()


def receive(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := end.recv(size - len(data))):
        data += piece
    return data


def drain(end: socket.socket) -> bytes:
    """All that is in its buffer now."""
    end.setblocking(False)
    data = b""
    with suppress(BlockingIOError):
        while piece := end.recv(1 << 20):
            data += piece
    return data


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def couple(engine: Engine) -> Iterator[Couple]:
    couple = Couple(engine)
    yield couple
    couple.close()


def test_a_link_carries_both_ways_and_is_left_clean(engine: Engine, couple: Couple):
    couple.ask()
    assert engine.part(couple.key) == (True, True, "", b"")
    assert engine.ended() == []


def test_the_greeting_comes_first_and_what_was_sent_ahead_arrives(engine: Engine):
    couple = Couple(engine, b"hello", QUERY + QUERY[:3])
    assert receive(couple.client, 5) == b"hello"
    couple.client.sendall(QUERY[3:])
    assert receive(couple.backend, 2 * len(QUERY)) == QUERY * 2
    couple.close()


def test_terminate_ends_a_link_and_stays_here(engine: Engine, couple: Couple):
    couple.ask()
    couple.client.sendall(QUERY + TERMINATE)
    wait_until(couple.has_ended)
    assert engine.part(couple.key) == (False, True, "", b"")  # a query is not answered
    couple.near_backend.close()
    assert receive(couple.backend, 1000) == QUERY


def test_terminate_sent_ahead_is_reported(engine: Engine):
    couple = Couple(engine, b"hello", TERMINATE)
    assert select.select([engine], [], [], 10)[0]
    assert engine.ended() == [couple.key]
    assert not select.select([engine], [], [], 0)[0]
    assert engine.part(couple.key) == (True, True, "", b"")
    couple.close()


def test_what_can_not_be_a_message_is_reported(engine: Engine, couple: Couple):
    couple.client.sendall(b"\x01\0\0\0\4")
    wait_until(couple.has_ended)
    text = "invalid message: type 1, length 4"
    assert engine.part(couple.key) == (False, True, text, b"")


def test_the_last_words_of_a_backend_are_delivered(engine: Engine, couple: Couple):
    words = message(b"E", b"SFATAL\0\0") + b"Z\0\0"  # and the beginning of a header
    couple.backend.sendall(words)
    couple.backend.close()
    couple.near_backend.close()
    wait_until(couple.has_ended)
    parting = engine.part(couple.key)
    assert parting is not None
    clean, whole, _, rest = parting
    assert not clean
    assert not whole
    assert receive(couple.client, len(words) - len(rest)) + rest == words


def test_a_backend_that_takes_nothing_more_is_heard_out(engine: Engine):
    """The query finds the backend gone before its last words were read."""
    words = message(b"E", b"SFATAL\0\0")
    client, near_client = socket.socketpair()
    backend, near_backend = socket.socketpair()
    backend.sendall(words)
    backend.close()
    key = engine.join(near_client.fileno(), near_backend.fileno(), b"", QUERY)
    assert receive(client, len(words)) == words
    wait_until(lambda: key in engine.ended())
    assert engine.part(key) == (False, True, "", b"")
    for end in (client, near_client, near_backend):
        end.close()


@pytest.mark.parametrize("gone", ["client", "backend"])
def test_either_side_may_go(engine: Engine, couple: Couple, gone: str):
    couple.ask()
    getattr(couple, gone).close()
    wait_until(couple.has_ended)
    assert engine.part(couple.key) == (gone == "client", True, "", b"")


def test_a_client_that_does_not_read_stops_its_backend_and_loses_nothing(
    engine: Engine, couple: Couple
):
    couple.backend.settimeout(0.2)
    row = message(b"D", bytes(8187))
    sent = 0
    with suppress(TimeoutError):
        while sent < 100_000_000:
            sent += couple.backend.send(row[sent % len(row) :])
    assert sent < 10_000_000
    parting = engine.part(couple.key)
    assert parting is not None
    _, whole, _, rest = parting
    got = drain(couple.client) + rest
    assert whole == (len(got) % len(row) == 0)
    got += drain(couple.near_backend)  # which the engine has not read
    assert got == (row * (sent // len(row) + 1))[:sent]


def test_a_client_that_reads_again_gets_everything(couple: Couple):
    row, count = message(b"D", bytes(8187)), 1000
    sender = threading.Thread(target=lambda: couple.backend.sendall(row * count))
    sender.start()
    time.sleep(0.05)  # it is stuck by now, most likely
    assert receive(couple.client, count * len(row)) == row * count
    sender.join()


def test_parting_quietly_is_possible_only_before_the_client_speaks(engine: Engine):
    silent, talking = Couple(engine, b"hello"), Couple(engine, b"hello")
    talking.client.sendall(QUERY)
    assert receive(talking.backend, len(QUERY)) == QUERY
    assert engine.part(talking.key, True) is None
    assert engine.part(silent.key, True) == (True, True, "", b"")
    for couple in (silent, talking):
        couple.close()


def test_what_was_parted_is_not_touched_any_more(engine: Engine, couple: Couple):
    couple.ask()
    engine.part(couple.key)
    couple.client.sendall(QUERY)
    other = Couple(engine)  # it may well get the numbers of the descriptors, and the place
    other.ask()
    assert receive(couple.near_client, len(QUERY)) == QUERY
    with pytest.raises(KeyError):
        engine.part(couple.key)
    assert other.key != couple.key
    other.ask()
    other.close()


def test_parting_what_has_ended_unheard_frees_its_place_once(engine: Engine):
    for _ in range(3):
        couples = [Couple(engine) for _ in range(100)]  # more than there are places at first
        for couple in couples:
            couple.client.close()
        for couple in couples[:50]:
            engine.part(couple.key)
        heard: list[int] = []
        while len(heard) < 50:
            assert select.select([engine], [], [], 10)[0]
            heard += engine.ended()
        assert set(heard) == {couple.key for couple in couples[50:]}
        for couple in couples[50:]:
            engine.part(couple.key)
        for couple in couples:
            couple.close()
    survivor = Couple(engine)
    survivor.ask()
    survivor.close()


def test_descriptors_are_given_back(engine: Engine):
    before = len(os.listdir("/proc/self/fd"))
    couples = [Couple(engine) for _ in range(10)]
    assert len(os.listdir("/proc/self/fd")) == before + 60
    for couple in couples:
        engine.part(couple.key)
        couple.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_socket_that_is_none_is_refused(engine: Engine):
    before = len(os.listdir("/proc/self/fd"))
    with socket.socket() as end, pytest.raises(OSError, match="descriptor"):
        engine.join(end.fileno(), 99_999, b"", b"")
    assert len(os.listdir("/proc/self/fd")) == before


def test_closing_parts_everybody_and_everything_is_refused_after_it():
    engine = Engine()
    couple = Couple(engine)
    engine.close()
    engine.close()
    for call in (engine.fileno, engine.ended, lambda: engine.part(couple.key)):
        with pytest.raises(ValueError, match="closed"):
            call()
    couple.near_client.close()
    assert couple.client.recv(1) == b""
    couple.close()


def test_an_engine_that_is_forgotten_ends():
    before = len(os.listdir("/proc/self/fd"))
    couple = Couple(Engine())
    couple.close()
    del couple
    assert len(os.listdir("/proc/self/fd")) == before


def test_under_load_others_get_in_at_once(engine: Engine):
    """The thread unlocks only to lock again, yet parting does not wait for it to be idle."""
    with ExitStack() as stack:
        couples = [Couple(engine) for _ in range(4)]
        threads = []
        for couple in couples:
            stack.callback(couple.close)
            for end in (couple.client, couple.backend):
                end.settimeout(None)
            threads.append(threading.Thread(target=_pour, args=(couple.client,)))
            threads.append(threading.Thread(target=_swallow, args=(couple.backend,)))
        for thread in threads:
            thread.start()
        for couple in couples:
            started = time.perf_counter()
            engine.part(couple.key)
            assert time.perf_counter() - started < 1
            for end in (couple.client, couple.backend, couple.near_backend, couple.near_client):
                end.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()


def _pour(end: socket.socket) -> None:
    flood = message(b"d", bytes(200_000))
    with suppress(OSError):
        while True:
            end.sendall(flood)


def _swallow(end: socket.socket) -> None:
    with suppress(OSError):
        while end.recv(65536):
            pass


BODY = st.binary(max_size=30)
REQUEST = st.builds(message, st.sampled_from([bytes([kind]) for kind in b"BCDEFHPQSdcf"]), BODY)
ANSWERS = st.builds(message, st.sampled_from([bytes([kind]) for kind in b"123ACDEHNST"]), BODY)
READY = st.builds(message, st.just(b"Z"), st.sampled_from([b"I", b"T", b"E"]))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUEST), st.lists(ANSWERS | READY), st.lists(st.integers(1, 40), min_size=1))
def test_whatever_is_sent_in_pieces_arrives(
    engine: Engine, asked: list[bytes], answered: list[bytes], sizes: list[int]
):
    requests, answers = b"".join(asked), b"".join(answered)
    couple = Couple(engine)
    try:
        for sender, receiver, data in (
            (couple.client, couple.backend, requests),
            (couple.backend, couple.client, answers),
        ):
            position = 0
            for number in range(len(data)):
                size = sizes[number % len(sizes)]
                sender.sendall(data[position : position + size])
                position += size
                if position >= len(data):
                    break
            assert receive(receiver, len(data)) == data
    finally:
        engine.part(couple.key)
        couple.close()
