"""Every call over gRPC is counted once, with the status that its client sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from tenantpool.errors import TenantLimit
from tenantpool.service.meter import UNKNOWN, Meter, Method
from tenantpool.service.metering import Metering
from tenantpool.v1 import admin_service_pb2 as pb
from tests.support.wait import wait_until_async

from .support import Client, Service

S = grpc.StatusCode

ACQUIRE = Method("tenantpool.v1.LeaseService", "AcquireLease", "unary")
SESSION = Method("tenantpool.v1.LeaseService", "Session", "bidi_stream")
WATCH = Method("tenantpool.v1.AdminService", "Watch", "server_stream")
CHECK = Method("grpc.health.v1.Health", "Check", "unary")
HEALTH_WATCH = Method("grpc.health.v1.Health", "Watch", "server_stream")
REFLECTION = Method(
    "grpc.reflection.v1alpha.ServerReflection", "ServerReflectionInfo", "bidi_stream"
)


async def expect(meter: Meter, method: Method, *, timed: int | None = None, **codes: int) -> None:
    """Wait until as many calls as *codes* say have ended; all have a duration, or *timed*."""
    total = sum(codes.values())
    await wait_until_async(lambda: method in meter.methods)
    counts = meter.methods[method]
    await wait_until_async(lambda: counts.handled.total() >= total, what=repr(counts.handled))
    assert counts.handled == codes
    assert counts.started == total
    assert sum(counts.seconds.counts) == (total if timed is None else timed)


async def fails(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


# -- the services ------------------------------------------------------------------------------


async def test_a_call_that_works_is_ok(service: Service, client: Client) -> None:
    await client.acquire()
    await client.acquire()
    await expect(service.rpc.meter, ACQUIRE, OK=2)
    assert repr(service.rpc.meter) == "<Meter 2 calls of 1 methods>"
    assert repr(service.rpc.meter.methods[ACQUIRE]) == "<Counts 2 started, 2 handled>"


async def test_a_refusal_has_its_code(service: Service, client: Client) -> None:
    service.desk.fail(TenantLimit("acme", "2 at most"))
    assert await fails(client.acquire()) is S.RESOURCE_EXHAUSTED
    service.desk.fail(ZeroDivisionError())
    assert await fails(client.acquire()) is S.INTERNAL
    await expect(service.rpc.meter, ACQUIRE, RESOURCE_EXHAUSTED=1, INTERNAL=1)


async def test_a_call_under_way_has_started_and_its_client_may_go(
    service: Service, client: Client
) -> None:
    service.desk.block()
    call = asyncio.ensure_future(client.acquire())
    await wait_until_async(lambda: service.desk.asked)
    counts = service.rpc.meter.methods[ACQUIRE]
    assert (counts.started, counts.handled.total()) == (1, 0)
    call.cancel()
    await expect(service.rpc.meter, ACQUIRE, CANCELLED=1)


async def test_a_call_whose_deadline_is_over_is_cancelled(service: Service, client: Client) -> None:
    service.desk.block()
    assert await fails(client.acquire(timeout=0.05)) is S.DEADLINE_EXCEEDED
    await expect(service.rpc.meter, ACQUIRE, CANCELLED=1)


async def test_calls_that_the_end_of_the_service_refuses_are_counted(
    service: Service, client: Client
) -> None:
    service.desk.block()
    call = asyncio.ensure_future(client.acquire())
    await wait_until_async(lambda: service.desk.asked)
    await service.rpc.stop()
    assert await fails(call) is S.UNAVAILABLE
    await expect(service.rpc.meter, ACQUIRE, UNAVAILABLE=1)


async def test_methods_that_do_not_exist_are_one(service: Service, client: Client) -> None:
    for path in ("/tenantpool.v1.LeaseService/Borrow", "/made.up/One", "/made.up/Two"):
        raw: Any = client.channel.unary_unary(path)
        assert await fails(raw(b"")) is S.UNIMPLEMENTED
    await expect(service.rpc.meter, UNKNOWN, timed=0, UNIMPLEMENTED=3)
    assert list(service.rpc.meter.methods) == [UNKNOWN]


async def test_a_request_that_cannot_be_read_is_the_fault_it_is_answered_with(
    service: Service, client: Client
) -> None:
    raw: Any = client.channel.unary_unary("/tenantpool.v1.LeaseService/AcquireLease")
    assert await fails(raw(b"\xff")) is S.UNKNOWN
    await expect(service.rpc.meter, ACQUIRE, UNKNOWN=1)
    assert not service.desk.asked


async def test_a_call_that_ends_before_its_request_is_here_is_cancelled(
    service: Service, client: Client
) -> None:
    too_long = "x" * service.desk.rules.max_request_size
    assert await fails(client.acquire(too_long)) is S.RESOURCE_EXHAUSTED
    await expect(service.rpc.meter, ACQUIRE, timed=0, CANCELLED=1)


async def test_health_checks_are_counted(service: Service, client: Client) -> None:
    stub = HealthStub(client.channel)  # type: ignore[no-untyped-call]
    await stub.Check(health_pb2.HealthCheckRequest())
    assert await fails(stub.Check(health_pb2.HealthCheckRequest(service="none"))) is S.NOT_FOUND
    await expect(service.rpc.meter, CHECK, OK=1, NOT_FOUND=1)


async def test_a_stream_is_counted_when_it_ends(service: Service, client: Client) -> None:
    stub = HealthStub(client.channel)  # type: ignore[no-untyped-call]
    health = stub.Watch(health_pb2.HealthCheckRequest())
    state = client.admin.Watch(pb.WatchRequest())
    for watch, method in ((health, HEALTH_WATCH), (state, WATCH)):
        await watch.read()
        counts = service.rpc.meter.methods[method]
        assert (counts.started, counts.handled.total()) == (1, 0)
        watch.cancel()
        await expect(service.rpc.meter, method, CANCELLED=1)


async def test_a_session_is_counted_when_it_ends(service: Service, client: Client) -> None:
    session = client.leases.Session()
    await wait_until_async(lambda: SESSION in service.rpc.meter.methods)
    await session.done_writing()
    assert await session.code() is S.OK
    await expect(service.rpc.meter, SESSION, OK=1)


async def test_a_handler_that_yields_still_answers_and_is_counted(
    service: Service, client: Client
) -> None:
    stub = ServerReflectionStub(client.channel)  # type: ignore[no-untyped-call]
    asked = [ServerReflectionRequest(list_services="")] * 2
    assert len([answer async for answer in stub.ServerReflectionInfo(iter(asked))]) == 2
    await expect(service.rpc.meter, REFLECTION, OK=1)


# -- any handler -------------------------------------------------------------------------------


@asynccontextmanager
async def metered(
    make: Callable[..., Any], behaviour: Callable[..., Any], **serializers: Any
) -> AsyncIterator[tuple[Meter, Any]]:
    """A server of one method, ``/any/Method``."""
    meter = Meter()
    server = grpc.aio.server(interceptors=[Metering(meter)])
    handlers = {"Method": make(behaviour, **serializers)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("any", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as made:
            yield meter, made
    finally:
        await server.stop(None)


def of(kind: str) -> Method:
    return Method("any", "Method", kind)


async def test_a_handler_that_raises_has_failed_with_what_the_client_sees() -> None:
    async def fail(request: bytes, context: Any) -> None:
        if request:
            context.set_code(grpc.StatusCode[request.decode()])
        raise ZeroDivisionError

    async with metered(grpc.unary_unary_rpc_method_handler, fail) as (meter, channel):
        call = channel.unary_unary("/any/Method")
        assert await fails(call(b"")) is S.UNKNOWN
        assert await fails(call(b"OK")) is S.UNKNOWN
        assert await fails(call(b"DATA_LOSS")) is S.DATA_LOSS
        await expect(meter, of("unary"), UNKNOWN=2, DATA_LOSS=1)


async def test_a_handler_may_return_with_a_code() -> None:
    async def answer(_: bytes, context: Any) -> None:
        context.set_code(S.OUT_OF_RANGE)

    handler = grpc.unary_unary_rpc_method_handler
    async with metered(handler, answer, response_serializer=bytes.strip) as (meter, channel):
        assert await fails(channel.unary_unary("/any/Method")(b"")) is S.OUT_OF_RANGE
        await expect(meter, of("unary"), OUT_OF_RANGE=1)


async def test_an_answer_that_cannot_be_written_has_failed() -> None:
    async def answer(_: bytes, __: Any) -> None:
        return None

    handler = grpc.unary_unary_rpc_method_handler
    async with metered(handler, answer, response_serializer=bytes.strip) as (meter, channel):
        assert await fails(channel.unary_unary("/any/Method")(b"")) is S.UNKNOWN
        await expect(meter, of("unary"), UNKNOWN=1)


async def test_an_abort_that_the_handler_does_not_pass_on_still_counts() -> None:
    async def abort(_: bytes, context: Any) -> bytes:
        with pytest.raises(grpc.aio.AbortError):
            await context.abort(S.ABORTED, "no")
        return b""

    async with metered(grpc.unary_unary_rpc_method_handler, abort) as (meter, channel):
        assert await fails(channel.unary_unary("/any/Method")(b"")) is S.ABORTED
        await expect(meter, of("unary"), ABORTED=1)


async def test_streams_of_requests_are_read_and_written_as_their_handler_says() -> None:
    async def join(requests: AsyncIterator[str], _: Any) -> str:
        return "".join([request async for request in requests])

    coders = {"request_deserializer": bytes.decode, "response_serializer": str.encode}
    handler = grpc.stream_unary_rpc_method_handler
    async with metered(handler, join, **coders) as (meter, channel):
        assert await channel.stream_unary("/any/Method")(iter([b"a", b"b"])) == b"ab"
        assert await fails(channel.stream_unary("/any/Method")(iter([b"\xff"]))) is S.UNKNOWN
        await expect(meter, of("client_stream"), OK=1, UNKNOWN=1)


async def test_what_a_handler_yields_ends_with_its_client() -> None:
    ended = asyncio.Event()

    async def count(_: bytes, __: Any) -> AsyncIterator[bytes]:
        try:
            yield b"1"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with metered(grpc.unary_stream_rpc_method_handler, count) as (meter, channel):
        call = channel.unary_stream("/any/Method")(b"")
        assert await call.read() == b"1"
        call.cancel()
        await ended.wait()
        await expect(meter, of("server_stream"), CANCELLED=1)


async def test_a_client_that_has_gone_and_is_written_to_has_cancelled() -> None:
    async def write(_: bytes, context: Any) -> None:
        await context.write(b"1")
        with pytest.raises(asyncio.CancelledError):
            await asyncio.Event().wait()
        await context.write(b"2")

    async with metered(grpc.unary_stream_rpc_method_handler, write) as (meter, channel):
        call = channel.unary_stream("/any/Method")(b"")
        assert await call.read() == b"1"
        call.cancel()
        await expect(meter, of("server_stream"), CANCELLED=1)


async def test_a_method_is_wrapped_once() -> None:
    async def answer(request: bytes, _: Any) -> bytes:
        return request

    found = 0

    async def find(_: Any) -> Any:
        nonlocal found
        found += 1
        return grpc.unary_unary_rpc_method_handler(answer)

    meter = Meter()
    metering = Metering(meter)
    call = SimpleNamespace(method="/any/Method", invocation_metadata=())
    first, second = [await metering.intercept_service(find, call) for _ in range(2)]
    assert first is second
    assert found == 1
    assert repr(metering) == "<Metering <Meter 2 calls of 1 methods>>"
