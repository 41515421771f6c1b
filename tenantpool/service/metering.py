"""Sees every call over gRPC, of every service, and notes what becomes of it."""

from __future__ import annotations

from asyncio import CancelledError, Task, current_task
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from inspect import isasyncgenfunction
from time import monotonic
from typing import Any, NamedTuple, Protocol, TypeVar

import grpc

from .meter import UNKNOWN, Counts, Meter, Method

Request = TypeVar("Request")
Response = TypeVar("Response")

_OK = grpc.StatusCode.OK.name
_CANCELLED = grpc.StatusCode.CANCELLED.name
_FAILED = grpc.StatusCode.UNKNOWN.name
"""What gRPC answers when a handler raises, and has set no other code."""
_NO_SUCH_METHOD = grpc.StatusCode.UNIMPLEMENTED.name

# By whether the requests and the responses are streams: the type, where a handler keeps what it
# does, and what makes one.
_KINDS: dict[tuple[bool, bool], tuple[str, str, Callable[..., grpc.RpcMethodHandler[Any, Any]]]] = {
    (False, False): ("unary", "unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("server_stream", "unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("client_stream", "stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("bidi_stream", "stream_stream", grpc.stream_stream_rpc_method_handler),
}


class _Context(Protocol):
    """What is used of a grpc.aio.ServicerContext."""

    def code(self) -> grpc.StatusCode | None:
        """The status code that was set, or with which the call was aborted."""

    async def write(self, message: object) -> None:
        """Send *message*."""


_Behave = Callable[[Any, Any], Awaitable[Any]]
"""What a handler does with a request, or many, and the call's context."""


class _Metered(NamedTuple):
    """A method's handler that notes how its calls end, made once."""

    handler: grpc.RpcMethodHandler[Any, Any]
    counts: Counts
    gone: Callable[[Task[Any]], None]
    """Notes a call whose task ends before the handler runs."""


class Metering(grpc.aio.ServerInterceptor):
    """Notes in *meter* every call of a server whose methods are all asynchronous."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._metered: dict[str, _Metered] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._meter!r}>"

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """A call begins: its handler, None if there is no such method. Does not block."""
        path = handler_call_details.method
        metered = self._metered.get(path)
        if metered is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                self._note_unknown()
                return None
            metered = self._metered[path] = self._meter_calls(path, handler)
        metered.counts.started += 1
        task = current_task()
        assert task is not None
        # gRPC waits for the request before it calls the handler, and may wait in vain.
        task.add_done_callback(metered.gone)
        return metered.handler

    def _note_unknown(self) -> None:
        counts = self._meter.of(UNKNOWN)
        counts.started += 1
        counts.handled[_NO_SUCH_METHOD] += 1

    def _meter_calls(self, path: str, handler: grpc.RpcMethodHandler[Any, Any]) -> _Metered:
        service, _, name = path.removeprefix("/").partition("/")
        kind, attribute, make = _KINDS[handler.request_streaming, handler.response_streaming]
        counts = self._meter.of(Method(service, name, kind))

        def gone(_: Task[Any]) -> None:
            counts.handled[_CANCELLED] += 1

        # Single messages are read and written by what notes the end: they may be wrong, too.
        read, write = handler.request_deserializer, handler.response_serializer
        stream_read = stream_write = None
        if handler.request_streaming:
            read, stream_read = None, read
        if handler.response_streaming:
            write, stream_write = None, write
        behave = _coroutine(getattr(handler, attribute))
        noting = _noting(behave, read or _as_it_is, write or _as_it_is, counts, gone)
        return _Metered(make(noting, stream_read, stream_write), counts, gone)


def _noting(
    behave: _Behave,
    read: Callable[[Any], object],
    write: Callable[[Any], object],
    counts: Counts,
    gone: Callable[[Task[Any]], None],
) -> _Behave:
    """As *behave*, between *read* and *write*, and every end is noted in *counts*."""

    async def run(request: object, context: _Context) -> object:
        task = current_task()
        assert task is not None
        task.remove_done_callback(gone)
        started = monotonic()
        try:
            response = await behave(read(request), context)
            code = _code(context, _OK)
            if code == _OK:
                response = write(response)
        except BaseException as error:
            counts.note(_code_of(error, context), monotonic() - started)
            raise
        counts.note(code, monotonic() - started)
        return response

    return run


def _coroutine(behave: Callable[[Any, Any], Any]) -> _Behave:
    """As *behave*, which may also yield its responses."""
    if not isasyncgenfunction(behave):
        return behave

    async def run(request: object, context: _Context) -> None:
        responses: AsyncGenerator[object] = behave(request, context)
        async with aclosing(responses):
            async for response in responses:
                await context.write(response)

    return run


def _code_of(error: BaseException, context: _Context) -> str:
    if isinstance(error, grpc.aio.InternalError):
        return _CANCELLED  # nothing can be sent any more: the client has gone
    return _code(context, _CANCELLED if isinstance(error, CancelledError) else _FAILED)


def _code(context: _Context, otherwise: str) -> str:
    code = context.code()
    return otherwise if code is None or code is grpc.StatusCode.OK else code.name


def _as_it_is(message: object) -> object:
    return message
