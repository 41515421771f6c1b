"""Wiping a session that only other processes have spoken in: no task, and no libpq in between.

A service wipes a session after every lease, so this is done in callbacks of the event loop. libpq
hears nothing of it: what a former holder changed, it has not heard of either, and now it is as it
was. Where libpq has changed something itself, ``link.wipe`` is the way.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable

_HEAD = struct.Struct("!cI")
_CHUNK = 65536
_LONGEST = 1 << 20
"""Bytes; an answer that is longer is not ours."""

_ASIDE = {b"S", b"N", b"A"}
"""ParameterStatus, NoticeResponse, NotificationResponse: may come at any time."""

_NONCE = 16
"""Letters of the number that is asked for."""


def _message(kind: bytes, body: bytes) -> bytes:
    return _HEAD.pack(kind, len(body) + 4) + body


def _around(kind: bytes, before: bytes, after: bytes = b"") -> tuple[bytes, bytes]:
    """A message with a hole for the nonce."""
    return _HEAD.pack(kind, len(before) + _NONCE + len(after) + 4) + before, after


_READY = _message(b"Z", b"I")
_COLUMN = b"?column?\0" + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0)

_ASK, _ASKED = _around(b"Q", b"SELECT '", b"'\0")
_QUESTION = _message(b"Q", b"DISCARD ALL\0") + _ASK

_ROW, _ = _around(b"D", struct.pack("!HI", 1, _NONCE))
_ANSWER = (
    _message(b"C", b"DISCARD ALL\0")
    + _READY
    + _message(b"T", struct.pack("!H", 1) + _COLUMN)
    + _ROW
)
_ANSWERED = _message(b"C", b"SELECT 1\0") + _READY


class QuickWipe(asyncio.Future[None]):
    """Leaves nothing of a session but what its connection was opened with, and proves it.

    *done* is called once: with "", or with why the connection must not be used any more. The
    future ends then, too. What is asked last is a number made for it, and the whole answer must
    be the answer to that: what a former holder had under way would come before it.
    """

    def __init__(
        self, sock: socket.socket, delay: float, timeout: float, done: Callable[[str], None]
    ) -> None:
        """Begin in *delay* seconds, and take at most *timeout* seconds. Does not block.

        *sock* must not block either, and is only used until the end.
        """
        loop = asyncio.get_running_loop()
        super().__init__(loop=loop)
        self._socket = sock
        self._timeout = timeout
        self._done = done
        self._received = b""
        self._expected = b""
        if delay:
            self._timer = loop.call_later(delay, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        loop = self.get_loop()
        nonce = os.urandom(_NONCE // 2).hex().encode()
        self._expected = _ANSWER + nonce + _ANSWERED
        self._timer = loop.call_later(self._timeout, self._end, "no answer in time")
        loop.add_reader(self._socket, self._readable)
        question = _QUESTION + nonce + _ASKED
        try:
            if self._socket.send(question) != len(question):
                self._end("the question could not be sent")
        except OSError as error:
            self._end(str(error))

    def _readable(self) -> None:
        try:
            chunk = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(str(error))
            return
        received = self._received = self._received + chunk
        if received == self._expected:
            self._end("")
        elif not chunk:
            self._end("the server has closed the connection")
        else:
            self._compare()

    def _compare(self) -> None:
        """Look at an answer that is not what is usual: it may be unfinished, or say more."""
        said, rest = _without_asides(self._received)
        if said == self._expected and not rest:
            self._end("")
        elif not self._expected.startswith(said) or len(self._received) > _LONGEST:
            self._end("something else was under way")

    def _end(self, problem: str) -> None:
        if self.done():
            return
        self._timer.cancel()
        self.get_loop().remove_reader(self._socket)
        self.set_result(None)
        self._done(problem)


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
