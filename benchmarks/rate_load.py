"""What the worker processes of ``service_rate.py`` do: lease without a pause, or just be there.

They talk to the service with as little code as possible and run no queries: it is the service that
is to be busy.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import grpc
import uvloop

from benchmarks.crew import Shift
from benchmarks.served import TENANT, Served
from benchmarks.wire import HEAD, Line, connect_to_gateway, frame, hello
from tenantpool.v1.lease_pb2 import (
    AcquireLeaseRequest,
    GatewayWay,
    Lease,
    LeaseRef,
    ReleaseLeaseRequest,
)
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceStub
from tenantpool.v1.session_pb2 import (
    Goodbye,
    HandOverRequest,
    SessionRequest,
    SessionResponse,
)

_CONNECTS = 50
"""Under way at a time."""
_STAY = 0.3
"""Seconds for which the idle stay when they have been measured."""
_OWN_CHANNEL = (("grpc.use_local_subchannel_pool", 1),)


class Worker(Protocol):
    """A worker with a session, or without."""

    async def acquire(self) -> Lease: ...

    async def release(self, lease: Lease) -> None: ...

    async def close(self) -> None: ...


# -- busy ------------------------------------------------------------------------------------------


def channel(shift: Shift) -> list[float]:
    """Sessions over the Unix channel; leases that nobody connects with."""
    return uvloop.run(_lease(shift, _Channel.connect))


def hand_off(shift: Shift) -> list[float]:
    """Sessions over the Unix channel; each grant carries the connection's socket."""
    return uvloop.run(_lease(shift, _Channel.connect_with_husk))


def stream(shift: Shift) -> list[float]:
    """Sessions over gRPC streams, each on a connection of its own."""
    return uvloop.run(_lease(shift, _Stream.connect))


def unary(shift: Shift) -> list[float]:
    """Two calls for each lease, no sessions; a connection for each worker."""
    return uvloop.run(_lease(shift, _Unary.connect))


async def _lease(shift: Shift, connect: Callable[[Served], Awaitable[Worker]]) -> list[float]:
    """Seconds from asking to having, of all tasks together."""
    served = _served(shift)
    times: list[float] = []
    workers = await asyncio.gather(*(connect(served) for _ in range(shift.spec["tasks"])))
    pause = shift.spec["pause"]
    await asyncio.gather(*(_work(worker, shift, pause, times) for worker in workers))
    for worker in workers:
        await worker.close()
    return times


async def _work(worker: Worker, shift: Shift, pause: float, times: list[float]) -> None:
    while True:
        asked = time.monotonic()
        if asked >= shift.ends:
            return
        lease = await worker.acquire()
        got = time.monotonic()
        await worker.release(lease)
        if shift.starts <= asked and got <= shift.ends:
            times.append(got - asked)
        if pause:
            await asyncio.sleep(pause)


class _Channel:
    """Plain asyncio: sockets that come along are dropped by the kernel, as nobody takes them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._husk = 0

    @classmethod
    async def connect(cls, served: Served) -> _Channel:
        found = cls(*await asyncio.open_unix_connection(served.channel))
        await found._call(hello("busy"))
        return found

    @classmethod
    async def connect_with_husk(cls, served: Served) -> _Channel:
        found = await cls.connect(served)
        lease = await found.acquire()
        with await asyncio.to_thread(connect_to_gateway, served, lease.gateway):
            request = SessionRequest(hand_over=HandOverRequest(lease_id=lease.lease_id))
            found._husk = (await found._call(request)).handed_over.husk
        await found.release(lease)
        return found

    async def acquire(self) -> Lease:
        wanted = AcquireLeaseRequest(tenant=TENANT, husk=self._husk)
        return (await self._call(SessionRequest(acquire=wanted))).acquired.lease

    async def release(self, lease: Lease) -> None:
        self._writer.write(frame(_release(lease)))

    async def close(self) -> None:
        self._writer.close()

    async def _call(self, request: SessionRequest) -> SessionResponse:
        number = request.sequence = next(self._numbers)
        self._writer.write(frame(request))
        while True:
            (length,) = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            response = SessionResponse.FromString(await self._reader.readexactly(length))
            if response.sequence == number:
                return _checked(response)


class _Stream:
    def __init__(self, rpc: grpc.aio.Channel) -> None:
        self._rpc = rpc
        self._stream: Any = LeaseServiceStub(rpc).Session()  # type: ignore[no-untyped-call]
        self._numbers = itertools.count(1)

    @classmethod
    async def connect(cls, served: Served) -> _Stream:
        found = cls(grpc.aio.insecure_channel(served.grpc, options=_OWN_CHANNEL))
        await found._call(hello("busy"))
        return found

    async def acquire(self) -> Lease:
        wanted = AcquireLeaseRequest(tenant=TENANT)
        return (await self._call(SessionRequest(acquire=wanted))).acquired.lease

    async def release(self, lease: Lease) -> None:
        await self._stream.write(_release(lease))

    async def close(self) -> None:
        # Otherwise a release that the service has not read yet is lost, and with it the lease.
        await self._call(SessionRequest(goodbye=Goodbye()))
        await self._rpc.close()

    async def _call(self, request: SessionRequest) -> SessionResponse:
        number = request.sequence = next(self._numbers)
        await self._stream.write(request)
        while True:
            response: SessionResponse = await self._stream.read()
            if response.sequence == number:
                return _checked(response)


class _Unary:
    def __init__(self, rpc: grpc.aio.Channel) -> None:
        self._rpc = rpc
        self._stub: Any = LeaseServiceStub(rpc)  # type: ignore[no-untyped-call]

    @classmethod
    async def connect(cls, served: Served) -> _Unary:
        return cls(grpc.aio.insecure_channel(served.grpc, options=_OWN_CHANNEL))

    async def acquire(self) -> Lease:
        lease: Lease = (await self._stub.AcquireLease(AcquireLeaseRequest(tenant=TENANT))).lease
        return lease

    async def release(self, lease: Lease) -> None:
        await self._stub.ReleaseLease(_release(lease).release)

    async def close(self) -> None:
        await self._rpc.close()


def _release(lease: Lease) -> SessionRequest:
    ref = LeaseRef(lease_id=lease.lease_id, fencing_token=lease.fencing_token)
    return SessionRequest(release=ReleaseLeaseRequest(lease=ref))


def _checked(response: SessionResponse) -> SessionResponse:
    if response.HasField("refused"):
        raise RuntimeError(f"refused: {response.refused.message}")
    return response


# -- idle ------------------------------------------------------------------------------------------
#
# Each of these returns how many were there when they were measured.


def idle_channels(shift: Shift) -> int:
    """Sessions as LeaseClient has them on the service's host: a control channel and a lane."""
    served = _served(shift)
    lines: list[Line] = []
    with ExitStack() as stack:
        while len(lines) < shift.spec["each"] and time.monotonic() < shift.starts:
            line, lane = (stack.enter_context(Line(served)) for _ in range(2))
            lane.join(line.greet(hello("idle")))
            lines.append(line)
        _stay(shift)
    return len(lines)


def idle_streams(shift: Shift) -> int:
    """Sessions as LeaseClient has them over gRPC: a connection and a stream each."""
    return uvloop.run(_idle_streams(shift))


async def _idle_streams(shift: Shift) -> int:
    served = _served(shift)
    left = iter(range(shift.spec["each"]))
    found: list[_Stream] = []

    async def connect() -> None:
        for _ in left:
            if time.monotonic() >= shift.starts:
                return
            found.append(await _Stream.connect(served))

    await asyncio.gather(*(connect() for _ in range(_CONNECTS)))
    count = len(found)
    await asyncio.sleep(max(0.0, shift.ends + _STAY - time.monotonic()))
    await asyncio.gather(*(worker.close() for worker in found))
    return count


def idle_clients(shift: Shift) -> int:
    """Clients of the gateway that have come with a pass; *ready*: until they have a connection."""
    served = _served(shift)
    way = GatewayWay(user=shift.spec["user"], ticket=shift.spec["ticket"])
    found: list[socket.socket] = []
    with ExitStack() as stack:
        while len(found) < shift.spec["each"] and time.monotonic() < shift.starts:
            end = connect_to_gateway(served, way, is_patient=shift.spec["ready"])
            found.append(stack.enter_context(end))
        _stay(shift)
    return len(found)


def _stay(shift: Shift) -> None:
    time.sleep(max(0.0, shift.ends + _STAY - time.monotonic()))


def _served(shift: Shift) -> Served:
    return Served(Path(shift.spec["folder"]), 0)
