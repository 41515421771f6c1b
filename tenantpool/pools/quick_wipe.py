"""Wiping a session that only other processes have spoken in: no task, and no libpq in between.

A service wipes a session after every lease, so this is done in callbacks of the event loop. libpq
hears nothing of it: what a former holder changed, it has not heard of either, and now it is as it
was. Where libpq has changed something itself, ``link.wipe`` is the way.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
from collections.abc import Callable
from time import monotonic

_HEAD = struct.Struct("!cI")
_CHUNK = 65536
_LONGEST = 1 << 20
"""Bytes; an answer that is longer is not ours."""

_AT_ONCE = 64
"""Answers that are looked at before the event loop goes on with something else."""

_ASIDE = {b"S", b"N", b"A"}
"""ParameterStatus, NoticeResponse, NotificationResponse: may come at any time."""

_NONCE = 16
"""Letters of the number that is asked for."""


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEAD.pack(kind, len(body) + 4) + body


def _around(kind: bytes, before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """A message with a hole for the nonce."""
    return _HEAD.pack(kind, len(before) + _NONCE + len(after) + 4) + before, after


# One pipeline, which PostgreSQL answers with one packet: DISCARD ALL, which must be first; then a
# column is described that has the nonce for its name, which needs neither a plan nor an execution.
_ASK, _ASKED = _around(b"P", b"\0SELECT 1 AS n", b"\0\0\0")
_QUESTION = (
    _message(b"P", b"\0DISCARD ALL\0\0\0")
    + _message(b"B", bytes(8))
    + _message(b"E", bytes(5))
    + _ASK
)
_ASKED += _message(b"D", b"S\0") + _message(b"S", b"")

_INTEGER = struct.pack("!IHIhih", 0, 0, 23, 4, -1, 0)
"""How a column is described that is an integer of no table."""
_PARSED = _message(b"1", b"")
_COLUMN, _ANSWERED = _around(b"T", struct.pack("!H", 1) + b"n", b"\0" + _INTEGER)
_ANSWER = (
    _PARSED
    + _message(b"2", b"")
    + _message(b"C", b"DISCARD ALL\0")
    + _PARSED
    + _message(b"t", bytes(2))
    + _COLUMN
)
_ANSWERED += _message(b"Z", b"I")

Done = Callable[[str], None]
"""Called once: with "", or with why the connection must not be used any more."""


class Wiper:
    """Leaves nothing of a session but what its connection was opened with, and proves it.

    What is asked last is a number made for it, and the whole answer must be the answer to that:
    what a former holder had under way would come before it.

    A wipe takes at most *timeout* seconds. All that are under way share one descriptor in the
    event loop, since it is much dearer to let that watch each of them.
    """

    def __init__(self, timeout: float) -> None:
        """Belongs to the event loop that runs. To be closed."""
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._asked: dict[int, _Wipe] = {}
        self._check: asyncio.TimerHandle | None = None
        self._emptied: asyncio.Event | None = None
        self._answers = select.epoll()
        self._loop.add_reader(self._answers.fileno(), self._read)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._asked)} under way>"

    def wipe(self, sock: socket.socket, done: Done) -> None:
        """Wipe the session on *sock*, which must not block, and tell *done*. Does not block.

        Until then the socket must stay open, and nobody else may use it.
        """
        nonce = os.urandom(_NONCE // 2).hex().encode()
        question = _QUESTION + nonce + _ASKED
        try:
            if sock.send(question) != len(question):
                done("the question could not be sent")
                return
        except OSError as error:
            done(str(error))
            return
        wipe = _Wipe(sock, _ANSWER + nonce + _ANSWERED, done, monotonic() + self._timeout)
        self._asked[wipe.fd] = wipe
        self._answers.register(wipe.fd, select.EPOLLIN)
        if self._check is None:
            self._check = self._loop.call_later(self._timeout, self._end_late)

    async def close(self) -> None:
        """Wait until no wipe is under way. None may begin any more."""
        if self._asked:
            self._emptied = asyncio.Event()
            await self._emptied.wait()
        if self._check is not None:
            self._check.cancel()
        self._loop.remove_reader(self._answers.fileno())
        self._answers.close()

    def _read(self) -> None:
        for fd, _ in self._answers.poll(0, _AT_ONCE):
            wipe = self._asked[fd]
            problem = wipe.read()
            if problem is not None:
                self._end(wipe, problem)

    def _end(self, wipe: _Wipe, problem: str) -> None:
        self._answers.unregister(wipe.fd)
        del self._asked[wipe.fd]
        wipe.done(problem)
        if self._emptied is not None and not self._asked:
            self._emptied.set()

    def _end_late(self) -> None:
        """End those whose time is over, the first of which is always the oldest."""
        now = monotonic()
        while self._asked:
            wipe = next(iter(self._asked.values()))
            if wipe.deadline > now:
                self._check = self._loop.call_later(wipe.deadline - now, self._end_late)
                return
            self._end(wipe, "no answer in time")
        self._check = None


class _Wipe:
    """One that has begun: what was received of the answer that is expected."""

    __slots__ = ("deadline", "done", "expected", "fd", "received", "sock")

    def __init__(self, sock: socket.socket, expected: bytes, done: Done, deadline: float) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.expected = expected
        self.received = b""
        self.done = done
        self.deadline = deadline

    def read(self) -> str | None:
        """What came in now: None if it is not the end yet, "" if all is well, or the problem."""
        try:
            chunk = self.sock.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError as error:
            return str(error)
        if not chunk:
            return "the server has closed the connection"
        self.received += chunk
        return "" if self.received == self.expected else self._compare()

    def _compare(self) -> str | None:
        """Look at an answer that is not what is usual: it may be unfinished, or say more."""
        said, rest = _without_asides(self.received)
        if said == self.expected and not rest:
            return ""
        if not self.expected.startswith(said) or len(self.received) > _LONGEST:
            return "something else was under way"
        return None


def _without_asides(received: bytes) -> tuple[bytes, bytes]:
    """The whole messages without those that may come at any time; and an unfinished rest."""
    said, start = [], 0
    while len(received) - start >= _HEAD.size:
        kind, length = _HEAD.unpack_from(received, start)
        end = start + 1 + length
        if end > len(received):
            break
        if kind not in _ASIDE:
            said.append(received[start:end])
        start = max(end, start + _HEAD.size)
    return b"".join(said), received[start:]
