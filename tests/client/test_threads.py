"""Many threads on one client, and how they share the reading."""

from __future__ import annotations

import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tenantpool.client import LeaseClient
from tenantpool.client.channel import Channel
from tenantpool.errors import ServiceUnavailable
from tenantpool.v1.lease_pb2 import AcquireLeaseResponse, Lease
from tenantpool.v1.session_pb2 import Beat, Heartbeat, Recall, SessionRequest, SessionResponse
from tests.client.fake import FakeService
from tests.support.servers import on_latest
from tests.support.wait import wait_until

HEARTBEAT = SessionRequest(heartbeat=Heartbeat())


class Peer:
    """The other end of a channel."""

    def __init__(self) -> None:
        ours, self.sock = socket.socketpair()
        self.heard: list[SessionResponse] = []
        self.lost: list[str] = []
        self.channel = Channel(ours, self.heard.append, self.lost.append)
        self._data = b""

    def read(self) -> SessionRequest:
        while len(self._data) < 4 or len(self._data) < 4 + int.from_bytes(self._data[:4], "big"):
            self._data += self.sock.recv(4096)
        end = 4 + int.from_bytes(self._data[:4], "big")
        request = SessionRequest.FromString(self._data[4:end])
        self._data = self._data[end:]
        return request

    def say(self, sequence: int, **what: Any) -> bytes:
        body = SessionResponse(sequence=sequence, **what).SerializeToString()
        return len(body).to_bytes(4, "big") + body

    def answer(self, *sequences: int) -> None:
        self.sock.sendall(b"".join(self.say(number, beat=Beat()) for number in sequences))

    def close(self) -> None:
        self.channel.lose("the test is over")
        self.sock.close()


@pytest.fixture
def peer() -> Any:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(8) as threads:
        yield threads


def ask(channel: Channel, timeout: float = 20.0) -> int:
    request = SessionRequest(heartbeat=Heartbeat())
    return channel.call(request, timeout).response.sequence


def test_answers_find_who_asked_in_any_order(peer: Peer, threads: ThreadPoolExecutor):
    jobs = [threads.submit(ask, peer.channel) for _ in range(5)]
    numbers = [peer.read().sequence for _ in jobs]
    for number in reversed(numbers):
        peer.answer(number)
    assert sorted(job.result(20) for job in jobs) == sorted(numbers)


def test_the_reader_passes_the_reading_on(peer: Peer, threads: ThreadPoolExecutor):
    first = threads.submit(ask, peer.channel)
    one = peer.read().sequence
    wait_until(lambda: peer.channel._has_reader)
    second = threads.submit(ask, peer.channel)
    two = peer.read().sequence
    peer.answer(one)
    assert first.result(20) == one
    peer.answer(two)
    assert second.result(20) == two


def test_a_reader_whose_time_is_over_passes_the_reading_on(peer: Peer, threads: ThreadPoolExecutor):
    first = threads.submit(ask, peer.channel, 0.1)
    peer.read()
    second = threads.submit(ask, peer.channel)
    two = peer.read().sequence
    with pytest.raises(ServiceUnavailable, match="no answer"):
        first.result(20)
    assert peer.read().HasField("cancel")
    peer.answer(two)
    assert second.result(20) == two


def test_the_end_is_told_to_all_who_wait(peer: Peer, threads: ThreadPoolExecutor):
    jobs = [threads.submit(ask, peer.channel) for _ in range(5)]
    for _ in jobs:
        peer.read()
    peer.sock.close()
    for job in jobs:
        with pytest.raises(ServiceUnavailable):
            job.result(20)
    with pytest.raises(ServiceUnavailable):
        ask(peer.channel)
    assert len(peer.lost) == 1


def test_messages_may_come_in_pieces(peer: Peer, threads: ThreadPoolExecutor):
    job = threads.submit(ask, peer.channel)
    number = peer.read().sequence
    notice = peer.say(0, recall=Recall(tenant="a"))
    for byte in notice + peer.say(number, beat=Beat()) + notice[:3]:
        peer.sock.send(bytes([byte]))
    assert job.result(20) == number
    assert [notice.recall.tenant for notice in peer.heard] == ["a"]


def test_a_late_lease_is_given_back(peer: Peer, threads: ThreadPoolExecutor):
    job = threads.submit(ask, peer.channel, 0.05)
    number = peer.read().sequence
    with pytest.raises(ServiceUnavailable):
        job.result(20)
    assert peer.read().cancel.sequence == number
    lease = AcquireLeaseResponse(lease=Lease(lease_id="a/w/1", fencing_token=7))
    peer.sock.sendall(peer.say(number, acquired=lease))
    peer.channel.catch_up()
    release = peer.read().release
    assert (release.lease.lease_id, release.lease.fencing_token) == ("a/w/1", 7)


@pytest.mark.parametrize("nonsense", [b"\xff\xff\xff\xff", b"\0\0\0\3\xff\xff\xff"])
def test_nonsense_ends_the_channel(nonsense: bytes, peer: Peer, threads: ThreadPoolExecutor):
    job = threads.submit(ask, peer.channel)
    peer.read()
    peer.sock.sendall(nonsense)
    with pytest.raises(ServiceUnavailable, match="broken"):
        job.result(20)


def test_a_peer_that_does_not_read_is_given_up(peer: Peer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tenantpool.client.channel._LONGEST_SEND", 0.05)

    def tell_for_ever() -> None:
        while True:
            peer.channel.tell(HEARTBEAT)

    with pytest.raises(ServiceUnavailable, match="does not read"):
        tell_for_ever()


def test_sockets_that_nobody_wants_are_closed(peer: Peer, threads: ThreadPoolExecutor):
    job = threads.submit(ask, peer.channel)
    number = peer.read().sequence
    left, right = socket.socketpair()
    socket.send_fds(peer.sock, [peer.say(number, beat=Beat())], [left.fileno()])
    left.close()
    assert job.result(20) == number
    peer.close()
    with right:
        assert right.recv(1) == b""  # no copy of its peer is open


@on_latest
@pytest.mark.parametrize("linger", [0, 0.02])
def test_threads_share_a_client(linger: float, fake: FakeService):
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(40):
                with leases.connection(f"t{number % 3}", timeout=20) as conn:
                    assert conn.execute("select %s::int", [number]).fetchone() == (number,)
        except BaseException as error:
            errors.append(error)

    with LeaseClient(f"unix:{fake.folder}", linger=linger) as leases:
        workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert errors == []
        assert leases.stats().lent == 0
    wait_until(lambda: not fake.loans)
    stats = leases.stats()
    assert stats.acquired + stats.reused == 320
    assert (stats.reused if linger else stats.hand_overs) > 0


@on_latest
def test_nothing_runs_after_close(fake: FakeService):
    before = set(threading.enumerate())
    leases: LeaseClient[Any] = LeaseClient(f"unix:{fake.folder}")
    leases.open()
    mine = {t for t in set(threading.enumerate()) - before if "client" in t.name}
    assert {t.name for t in mine} == {"tenantpool-client-reader", "tenantpool-client-ticker"}
    leases.close()
    assert not any(t.is_alive() for t in mine)


@on_latest
def test_an_interrupted_thread_leaves_no_lease(fake: FakeService):
    with LeaseClient(f"unix:{fake.folder}", linger=0) as leases:
        with leases.connection("a"):
            pass
        fake.mute = True

        def interrupt() -> None:
            wait_until(lambda: len(fake.heard("acquire")) == 2)
            time.sleep(0.05)
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            leases.acquire("a")
        thread.join()
        wait_until(lambda: fake.heard("cancel"))
        fake.mute = False
        with leases.connection("a") as conn:
            assert conn.execute("select 1").fetchone() == (1,)
