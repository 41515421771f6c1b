"""The gRPC stream to the service, for tasks and for threads side by side.

The same calls as on the Unix channel, for workers on other hosts. This module is imported when the
first stream is opened: until then a process has no gRPC objects, which do not survive a fork.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import Any

import grpc
import grpc.aio

from tenantpool.client.channel import Meanwhile, OnLost, OnNotice
from tenantpool.client.frames import Answer, refund
from tenantpool.client.rpc import OPTIONS, credentials, from_rpc_error, metadata
from tenantpool.client.target import Target
from tenantpool.errors import ServiceUnavailable, TenantpoolError
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceStub
from tenantpool.v1.session_pb2 import Cancel, SessionRequest, SessionResponse


class AsyncStream:
    """A stream that a task reads."""

    def __init__(self, target: Target, on_notice: OnNotice, on_lost: OnLost) -> None:
        self.lost = ""
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Answer]] = {}
        self._error: TenantpoolError | None = None
        self._unsent: asyncio.Queue[SessionRequest | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        if target.tls is None:
            self._channel = grpc.aio.insecure_channel(target.name, OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target.name, credentials(target.tls), OPTIONS)
        stub: Any = LeaseServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._stream = stub.Session(self._requests(), metadata=metadata(target))

    def __repr__(self) -> str:
        return f"<AsyncStream {self.lost or 'open'}, {len(self._calls)} waiting>"

    async def call(
        self, request: SessionRequest, timeout: float, meanwhile: Meanwhile | None = None
    ) -> Answer:
        """Say *request* and wait up to *timeout* seconds for the answer to it.

        Raises ServiceUnavailable if there is none, or the stream breaks, and what the service
        ends the stream with. Then, and when the task is cancelled, the service is told that the
        answer is not wanted any more.
        """
        number = next(self._numbers)
        request.sequence = number
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._calls[number] = future
        try:
            self.tell(request)
            if meanwhile is not None:
                meanwhile()
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            self._cancel(number)
            raise ServiceUnavailable(f"no answer from the service in {timeout:.3f} s") from None
        except BaseException:
            self._cancel(number)
            raise
        finally:
            self._calls.pop(number, None)

    def tell(self, request: SessionRequest) -> None:
        """Say *request*, to which no answer is awaited. Does not block. ServiceUnavailable."""
        if self.lost:
            raise self._error or ServiceUnavailable(self.lost)
        self._unsent.put_nowait(request)

    async def serve(self) -> None:
        """Read until the stream is lost, and let go of it."""
        try:
            async for response in self._stream:
                self._deliver(response)
            self.lose("the service has ended the stream")
        except grpc.RpcError as error:
            self._error = from_rpc_error(error)
            self.lose(str(self._error))
        except asyncio.CancelledError:
            self.lose("the stream is cancelled")
        await self._channel.close()

    def lose(self, reason: str) -> None:
        """Nothing more will be said or heard, for this *reason*. Does not block."""
        if self.lost:
            return
        self.lost = reason
        self._unsent.put_nowait(None)
        self._stream.cancel()
        for future in self._calls.values():
            if not future.done():
                future.set_exception(self._error or ServiceUnavailable(reason))
        self._on_lost(reason)

    async def _requests(self) -> AsyncIterator[SessionRequest]:
        while (request := await self._unsent.get()) is not None:
            yield request

    def _deliver(self, response: SessionResponse) -> None:
        if not response.sequence:
            self._on_notice(response)
            return
        future = self._calls.get(response.sequence)
        if future is not None and not future.done():
            future.set_result(Answer(response))
        elif (request := refund(response)) is not None:
            self._tell_if_open(request)

    def _cancel(self, number: int) -> None:
        self._tell_if_open(SessionRequest(cancel=Cancel(sequence=number)))

    def _tell_if_open(self, request: SessionRequest) -> None:
        with suppress(TenantpoolError):
            self.tell(request)


class _Call:
    """A request whose thread waits."""

    __slots__ = ("answer", "is_over")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.is_over = threading.Event()


class Stream:
    """A stream that a thread reads."""

    def __init__(self, target: Target, on_notice: OnNotice, on_lost: OnLost) -> None:
        self.lost = ""
        self._on_notice = on_notice
        self._on_lost = on_lost
        self._numbers = count(1)
        self._calls: dict[int, _Call] = {}
        self._error: TenantpoolError | None = None
        self._lock = threading.Lock()
        self._unsent: SimpleQueue[SessionRequest | None] = SimpleQueue()
        if target.tls is None:
            self._channel = grpc.insecure_channel(target.name, OPTIONS)
        else:
            self._channel = grpc.secure_channel(target.name, credentials(target.tls), OPTIONS)
        stub: Any = LeaseServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._stream = stub.Session(iter(self._unsent.get, None), metadata=metadata(target))

    def __repr__(self) -> str:
        return f"<Stream {self.lost or 'open'}, {len(self._calls)} waiting>"

    def call(
        self, request: SessionRequest, timeout: float, meanwhile: Meanwhile | None = None
    ) -> Answer:
        """Say *request* and wait up to *timeout* seconds for the answer to it.

        Raises ServiceUnavailable if there is none, or the stream breaks, and what the service
        ends the stream with. Then, and when the thread is interrupted, the service is told that
        the answer is not wanted any more.
        """
        number = next(self._numbers)
        request.sequence = number
        call = self._calls[number] = _Call()
        try:
            self.tell(request)
            if meanwhile is not None:
                meanwhile()
            call.is_over.wait(min(timeout, threading.TIMEOUT_MAX))
            if call.answer is None and self.lost:
                raise self._error or ServiceUnavailable(self.lost)
            if call.answer is None:
                raise ServiceUnavailable(f"no answer from the service in {timeout:.3f} s")
            return call.answer
        except BaseException:
            self._cancel(number)
            raise
        finally:
            self._calls.pop(number, None)

    def tell(self, request: SessionRequest) -> None:
        """Say *request*, to which no answer is awaited. Does not block. ServiceUnavailable."""
        if self.lost:
            raise self._error or ServiceUnavailable(self.lost)
        self._unsent.put(request)

    def serve(self) -> None:
        """Read until the stream is lost, and let go of it. Blocks that long."""
        try:
            for response in self._stream:
                self._deliver(response)
            self.lose("the service has ended the stream")
        except grpc.RpcError as error:
            self._error = from_rpc_error(error)
            self.lose(str(self._error))
        self._channel.close()

    def lose(self, reason: str) -> None:
        """Nothing more will be said or heard, for this *reason*. Does not block."""
        with self._lock:
            if self.lost:
                return
            self.lost = reason
        self._unsent.put(None)
        self._stream.cancel()
        for call in list(self._calls.values()):
            call.is_over.set()
        self._on_lost(reason)

    def _deliver(self, response: SessionResponse) -> None:
        if not response.sequence:
            self._on_notice(response)
        elif (call := self._calls.get(response.sequence)) is not None:
            call.answer = Answer(response)
            call.is_over.set()
        elif (request := refund(response)) is not None:
            self._tell_if_open(request)

    def _cancel(self, number: int) -> None:
        self._tell_if_open(SessionRequest(cancel=Cancel(sequence=number)))

    def _tell_if_open(self, request: SessionRequest) -> None:
        with suppress(TenantpoolError):
            self.tell(request)
