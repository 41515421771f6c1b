"""LeaseService over gRPC: what comes in as messages goes to the desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from tenantpool import tracing
from tenantpool.errors import BadRequest
from tenantpool.v1.lease_pb2 import (
    AcquireLeaseRequest,
    AcquireLeaseResponse,
    ReleaseLeaseRequest,
    ReleaseLeaseResponse,
    RenewLeasesRequest,
    RenewLeasesResponse,
)
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceServicer
from tenantpool.v1.session_pb2 import SessionRequest, SessionResponse

from .calls import Calls, Context
from .desk import Desk
from .identity import Identity
from .stream import Stream

_EXACTLY = 0.99
"""gRPC rounds a deadline up for the wire, by up to 1 %: 100.05 s arrive as 101 s."""


class StreamContext(Context, Protocol):
    """The context of a Session."""

    async def write(self, message: SessionResponse) -> None:
        """Say *message*; blocks while the worker does not read."""


class LeaseService(LeaseServiceServicer):
    """Lends over unary calls, and opens sessions."""

    def __init__(self, desk: Desk, calls: Calls, streams: Calls) -> None:
        self._desk = desk
        self._calls = calls
        self._streams = streams

    def __repr__(self) -> str:
        return f"<{type(self).__name__} calls: {self._calls!r}, streams: {self._streams!r}>"

    async def AcquireLease(
        self, request: AcquireLeaseRequest, context: Context
    ) -> AcquireLeaseResponse:
        """Lend a connection; answers before the caller's deadline."""
        remaining = context.time_remaining()
        within = None if remaining is None else remaining * _EXACTLY

        async def work(identity: Identity) -> AcquireLeaseResponse:
            if tracing.on is not None:
                tracing.adopt(request, context.invocation_metadata())
            loan = await self._desk.acquire(identity, request, within)
            response = AcquireLeaseResponse()
            self._desk.say(loan, response.lease)
            return response

        return await self._calls.answer(context, work)

    async def RenewLeases(
        self, request: RenewLeasesRequest, context: Context
    ) -> RenewLeasesResponse:
        """Keep leases alive; each answers for itself."""

        async def work(identity: Identity) -> RenewLeasesResponse:
            ttl = request.ttl.ToMicroseconds() / 1e6 if request.HasField("ttl") else None
            if ttl is not None and ttl <= 0:
                raise BadRequest("ttl must be above 0; to end leases, release them")
            return RenewLeasesResponse(
                renewals=self._desk.ledger.renew(identity, request.leases, ttl)
            )

        return await self._calls.answer(context, work)

    async def ReleaseLease(
        self, request: ReleaseLeaseRequest, context: Context
    ) -> ReleaseLeaseResponse:
        """Take a lease back."""

        async def work(identity: Identity) -> ReleaseLeaseResponse:
            self._desk.ledger.release(identity, request.lease, broken=request.broken)
            return ReleaseLeaseResponse()

        return await self._calls.answer(context, work)

    async def Session(
        self, requests: AsyncIterator[SessionRequest], context: StreamContext
    ) -> None:
        """Talk with a worker until it hangs up, or the service closes."""

        async def work(identity: Identity) -> None:
            await Stream(self._desk, identity, requests, context.write).run()

        await self._streams.answer(context, work)
