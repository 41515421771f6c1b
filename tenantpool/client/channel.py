"""The Unix channel to the service, for tasks and for threads side by side.

Many requests may be under way on one channel; the sequence number tells whose an answer is. What
differs is who reads. With asyncio, the event loop does. Among threads, the first that waits for an
answer reads for all of them, and when it has its own, the next one that waits goes on. So a thread
that is alone sends and receives by itself: no other thread has to wake up for it.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from math import inf
from time import monotonic

from google.protobuf.message import DecodeError

from tenantpool.client.frames import Answer, Inbox, pack, refund
from tenantpool.errors import ServiceUnavailable
from tenantpool.v1.session_pb2 import Cancel, SessionRequest, SessionResponse

_LONGEST_SEND = 10.0
"""Seconds that a service may not read before it counts as gone."""

_BROKEN = (EOFError, OSError, ValueError, DecodeError)

OnNotice = Callable[[SessionResponse], None]
"""Called with what the service says of its own accord; must not raise."""

OnLost = Callable[[str], None]
"""Called once, with the reason, when the channel is not there any more; must not raise."""

Meanwhile = Callable[[], object]
"""Called when a request is on its way: what can be done while the service works on it."""


class AsyncChannel:
    """A channel that the running event loop reads."""

    def __init__(self, sock: socket.socket, on_notice: OnNotice, on_lost: OnLost) -> None:
        sock.setblocking(False)
        self.lost = ""
        self._sock = sock
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._inbox = Inbox(sock)
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Answer]] = {}
        self._unsent = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._receive)

    def __repr__(self) -> str:
        return f"<AsyncChannel {self.lost or 'open'}, {len(self._calls)} waiting>"

    async def call(
        self, request: SessionRequest, timeout: float, meanwhile: Meanwhile | None = None
    ) -> Answer:
        """Say *request* and wait up to *timeout* seconds for the answer to it.

        Raises ServiceUnavailable if there is none, or the channel breaks. Then, and when the task
        is cancelled, the service is told, and a lease that comes all the same is given back.
        """
        number = next(self._numbers)
        request.sequence = number
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._calls[number] = future
        timer = self._loop.call_later(timeout, _give_up, future, timeout)
        try:
            self.tell(request)
            if meanwhile is not None:
                meanwhile()
            return await future
        except BaseException:
            self._dismiss(number, future)
            raise
        finally:
            timer.cancel()
            self._calls.pop(number, None)

    def tell(self, request: SessionRequest) -> None:
        """Say *request*, to which no answer is awaited. Does not block.

        Raises ServiceUnavailable.
        """
        if self.lost:
            raise ServiceUnavailable(self.lost)
        data = pack(request)
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.lose(f"the channel to the service is broken: {error}")
            raise ServiceUnavailable(self.lost) from error
        if sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._sock.fileno(), self._send_rest)

    async def serve(self) -> None:
        """Nothing to do: the event loop reads."""

    def catch_up(self) -> None:
        """Nothing to do: the event loop reads."""

    def lose(self, reason: str) -> None:
        """Nothing more will be said or heard, for this *reason*. Does not block."""
        if self.lost:
            return
        self.lost = reason
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        self._inbox.close()
        for future in self._calls.values():
            if not future.done():
                future.set_exception(ServiceUnavailable(reason))
        self._on_lost(reason)

    def disown(self) -> None:
        """This process is a fork: let go of the channel, and leave the parent's as it is."""
        # The loop's own registration is shared with the parent, so it is not taken back.
        self.lost = "the channel is of the parent process"
        self._sock.close()
        self._inbox.close()

    def _receive(self) -> None:
        try:
            answers = self._inbox.read()
        except BlockingIOError:
            return
        except _BROKEN as error:
            self.lose(f"the channel to the service is broken: {error}")
            return
        for answer in answers:
            self._deliver(answer)

    def _deliver(self, answer: Answer) -> None:
        number = answer.response.sequence
        if not number:
            self._on_notice(answer.response)
            return
        future = self._calls.get(number)
        if future is None or future.done():
            self._drop(answer)
        else:
            future.set_result(answer)

    def _dismiss(self, number: int, future: asyncio.Future[Answer]) -> None:
        """The answer is not wanted any more, also if it has come just now."""
        if future.done() and not future.cancelled() and future.exception() is None:
            self._drop(future.result())
        with suppress(ServiceUnavailable):
            self.tell(SessionRequest(cancel=Cancel(sequence=number)))

    def _drop(self, answer: Answer) -> None:
        """Nobody waits for this any more: a lease is given back."""
        if answer.fd >= 0:
            os.close(answer.fd)
        if (request := refund(answer.response)) is not None:
            with suppress(ServiceUnavailable):
                self.tell(request)

    def _send_rest(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(f"the channel to the service is broken: {error}")
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())


def _give_up(future: asyncio.Future[Answer], timeout: float) -> None:
    if not future.done():
        future.set_exception(ServiceUnavailable(_no_answer(timeout)))


class _Call:
    """A request whose thread waits; *latch* is open when there is something to look at."""

    __slots__ = ("_latch", "answer")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self._latch = threading.Lock()
        self._latch.acquire()

    def wake(self) -> None:
        """Let its thread look. Does not block."""
        try:
            self._latch.release()
        except RuntimeError:
            return  # it is open already

    def sleep(self, timeout: float) -> None:
        """Wait for *wake*, for up to *timeout* seconds."""
        self._latch.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))


class Channel:
    """A channel that the threads which wait for answers read in turn."""

    def __init__(self, sock: socket.socket, on_notice: OnNotice, on_lost: OnLost) -> None:
        sock.setblocking(False)
        self.lost = ""
        self._sock = sock
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._inbox = Inbox(sock)
        self._readable = select.poll()
        self._readable.register(sock, select.POLLIN)
        self._numbers = count(1)
        self._calls: dict[int, _Call] = {}
        self._has_reader = False
        self._is_torn = False
        self._lock = threading.Lock()
        self._sending = threading.Lock()

    def __repr__(self) -> str:
        return f"<Channel {self.lost or 'open'}, {len(self._calls)} waiting>"

    def call(
        self, request: SessionRequest, timeout: float, meanwhile: Meanwhile | None = None
    ) -> Answer:
        """Say *request* and wait up to *timeout* seconds for the answer to it.

        Raises ServiceUnavailable if there is none, or the channel breaks. Then, and when the
        thread is interrupted, the service is told, and a lease that comes all the same is given
        back.
        """
        deadline = monotonic() + timeout
        number = next(self._numbers)
        request.sequence = number
        call = self._calls[number] = _Call()
        try:
            self.tell(request)
            if meanwhile is not None:
                meanwhile()
            self._wait(call, deadline)
            answer = call.answer or self._leave(number, call)
            if answer is None:
                raise ServiceUnavailable(self.lost or _no_answer(timeout))
        except BaseException:
            self._dismiss(number, call)
            raise
        return answer

    def tell(self, request: SessionRequest) -> None:
        """Say *request*, to which no answer is awaited. Raises ServiceUnavailable.

        Blocks only while the service does not read, for a bounded time.
        """
        data = pack(request)
        try:
            with self._sending:
                self._send(data)
        except OSError as error:
            self.lose(f"the channel to the service is broken: {error}")
            raise ServiceUnavailable(self.lost) from error
        except BaseException:
            if self._is_torn:
                self.lose("interrupted in the middle of a message")
            raise

    def serve(self) -> None:
        """Read until the channel is lost, so that notices are heard. Blocks that long."""
        self._wait(_Call(), inf)

    def catch_up(self) -> None:
        """Read what has come in while nobody waited: late answers. Does not block."""
        if self._may_read():
            try:
                if self._readable.poll(0):
                    self._receive()
            finally:
                self._stop_reading()

    def lose(self, reason: str) -> None:
        """Nothing more will be said or heard, for this *reason*. Does not block."""
        with self._lock:
            if self.lost:
                return
            self.lost = reason
            calls, self._calls = self._calls, {}
            has_reader = self._has_reader
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes the reader, which closes then
        if not has_reader:
            self._close()
        for call in calls.values():
            call.wake()
        self._on_lost(reason)

    def disown(self) -> None:
        """This process is a fork: let go of the channel, and leave the parent's as it is."""
        self.lost = "the channel is of the parent process"
        self._sock.close()
        self._inbox.close()

    def _send(self, data: bytes) -> None:
        if self.lost:
            raise ServiceUnavailable(self.lost)
        while data:
            try:
                data = data[self._sock.send(data) :]
            except BlockingIOError:
                self._is_torn = True
                self._wait_until_writable()
        self._is_torn = False

    def _wait_until_writable(self) -> None:
        writable = select.poll()
        writable.register(self._sock, select.POLLOUT)
        if not writable.poll(_LONGEST_SEND * 1000):
            raise TimeoutError("the service does not read")

    def _wait(self, call: _Call, deadline: float) -> None:
        """Wait for the answer to *call*: as the reader, or until the reader has brought it."""
        while call.answer is None and not self.lost and (left := deadline - monotonic()) > 0:
            if not self._may_read():
                call.sleep(left)
                continue
            try:
                self._read(call, deadline)
            finally:
                self._stop_reading()

    def _may_read(self) -> bool:
        with self._lock:
            if self._has_reader or self.lost:
                return False
            self._has_reader = True
            return True

    def _stop_reading(self) -> None:
        with self._lock:
            self._has_reader = False
            lost = self.lost
            if self._calls:
                self._wake_next()
        if lost:
            self._close()

    def _leave(self, number: int, call: _Call) -> Answer | None:
        """End the wait of *call*; return the answer, if it has come."""
        with self._lock:
            self._calls.pop(number, None)
            self._wake_next()
            return call.answer

    def _wake_next(self) -> None:
        """If nobody reads, let the next one that waits do so."""
        if self._calls and not self._has_reader:
            next(iter(self._calls.values())).wake()

    def _read(self, call: _Call, deadline: float) -> None:
        while call.answer is None and not self.lost and (left := deadline - monotonic()) > 0:
            if self._readable.poll(None if left == inf else left * 1000):
                self._receive(call)

    def _receive(self, reader: _Call | None = None) -> None:
        try:
            answers = self._inbox.read()
        except BlockingIOError:
            return
        except _BROKEN as error:
            self.lose(f"the channel to the service is broken: {error}")
            return
        except BaseException:
            self.lose("interrupted while reading")
            raise
        for answer in answers:
            self._deliver(answer, reader)

    def _deliver(self, answer: Answer, reader: _Call | None) -> None:
        """Hand *answer* to the thread that waits for it, be it the *reader* itself."""
        number = answer.response.sequence
        if not number:
            self._on_notice(answer.response)
            return
        with self._lock:
            call = self._calls.pop(number, None)
            if call is not None:
                call.answer = answer
        if call is None:
            self._drop(answer)
        elif call is not reader:
            call.wake()

    def _dismiss(self, number: int, call: _Call) -> None:
        """The answer is not wanted any more, also if it has come just now."""
        if (answer := self._leave(number, call)) is not None:
            self._drop(answer)
        with suppress(ServiceUnavailable):
            self.tell(SessionRequest(cancel=Cancel(sequence=number)))

    def _drop(self, answer: Answer) -> None:
        """Nobody waits for this any more: a lease is given back."""
        if answer.fd >= 0:
            os.close(answer.fd)
        if (request := refund(answer.response)) is not None:
            with suppress(ServiceUnavailable):
                self.tell(request)

    def _close(self) -> None:
        with self._sending:
            self._sock.close()
            self._inbox.close()


def _no_answer(timeout: float) -> str:
    return f"no answer from the service in {timeout:.3f} s"
