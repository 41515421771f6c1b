"""Borrowing: a lease that is parked, or one that the service is asked for until there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from secrets import token_hex
from time import monotonic
from typing import Generic

from google.rpc.status_pb2 import Status

from tenantpool import tracing
from tenantpool.client.counters import Counters
from tenantpool.client.dress import Dress
from tenantpool.client.durations import patience, set_seconds
from tenantpool.client.frames import Answer, refund
from tenantpool.client.grant import Grant
from tenantpool.client.husk import Husk
from tenantpool.client.retry import retry_pause
from tenantpool.errors import LeaseEnded, ServiceUnavailable, TenantpoolError
from tenantpool.status import from_status
from tenantpool.v1.lease_pb2 import DELIVERY_HAND_OFF, DELIVERY_UNSPECIFIED, Delivery
from tenantpool.v1.session_pb2 import SessionRequest

from .delivery import deliver
from .lease import C
from .link import AsyncLink, deadline
from .session import AsyncSession

_GATEWAY_PAUSE = 0.05


class AsyncBorrower(Generic[C]):
    """Gets the leases of one client over its *link*, in connections that wear its *dress*.

    *configure* is called with each that is new. *delivery* asks for one way to reach connections.
    """

    def __init__(
        self,
        link: AsyncLink,
        dress: Dress[C],
        configure: Callable[[C], Awaitable[None]] | None,
        delivery: Delivery,
        counters: Counters,
    ) -> None:
        self._link = link
        self._dress = dress
        self._configure = configure
        self._delivery = delivery
        self._takes_sockets = delivery in (DELIVERY_UNSPECIFIED, DELIVERY_HAND_OFF)
        self._counters = counters

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self._link!r}>"

    async def borrow(self, tenant: str, timeout: float | None, priority: int) -> Grant:
        """A lease in use: one that is parked, or a new one. Raises as entering a lease does."""
        link = self._link
        session = link.session
        if session is None or link.closed or not session.is_good():
            session = await link.session_by(deadline(timeout))
        grant = session.shelf.unpark(tenant)
        if grant is None:
            return await self._ask_until(session, tenant, timeout, priority)
        grant.renew(self._dress)
        self._counters.reused += 1
        return grant

    def check(self, grant: Grant) -> None:
        """Find out whether the lease is over, as it is for a worker that was stopped for long."""
        session = self._link.session
        if session is not None and session.shelf is grant.shelf:
            session.is_good()

    async def _ask_until(
        self, session: AsyncSession, tenant: str, timeout: float | None, priority: int
    ) -> Grant:
        """Ask the service, again where it says so or was gone, for as long as there is time."""
        end, left = deadline(timeout), timeout
        request: SessionRequest | None = None
        while True:
            if request is None or not session.uses_grpc:
                request = self._request(session, tenant, left, priority)
            pause: float | None = 0.0
            try:
                outcome = await self._ask(session, tenant, request, left)
            except (ServiceUnavailable, LeaseEnded) as failure:
                error: TenantpoolError = failure
                if not session.lost:
                    if isinstance(failure, LeaseEnded):
                        raise
                    # The gateway is gone: perhaps the service is, and it was noticed here first.
                    request, pause = None, _GATEWAY_PAUSE
                # Else what became of it is not known: the same request again gets the same lease.
            else:
                if isinstance(outcome, Grant):
                    return outcome
                request = None
                error = from_status(outcome)
                pause = retry_pause(outcome) if timeout is not None else None
            if pause is None or monotonic() + pause >= end:
                raise error
            self._counters.retries += 1
            await asyncio.sleep(pause)
            session = await self._link.session_by(end)
            left = None if timeout is None else max(0.0, end - monotonic())

    def _request(
        self, session: AsyncSession, tenant: str, timeout: float | None, priority: int
    ) -> SessionRequest:
        request = SessionRequest()
        acquire = request.acquire
        acquire.tenant = tenant
        if session.uses_grpc:
            # A Unix channel breaks only when the service, and with it the lease, is gone.
            acquire.request_id = token_hex(16)
        if timeout is not None:
            set_seconds(acquire.timeout, timeout)
        if priority:
            acquire.priority = priority
        if self._delivery:
            acquire.delivery = self._delivery
        if tracing.on is not None:
            tracing.on.inject(acquire)
        return request

    async def _ask(
        self, session: AsyncSession, tenant: str, request: SessionRequest, left: float | None
    ) -> Grant | Status:
        """Ask once; a Status is a refusal. Raises ServiceUnavailable, or as ``deliver`` does."""
        husk = session.shelf.take_husk(tenant) if self._takes_sockets else None
        meanwhile = None
        if husk is not None:
            request.acquire.husk = husk.number
            meanwhile = partial(husk.wear, self._dress)
        try:
            answer = await session.call(request, patience(left), meanwhile)
        except BaseException:
            if husk is not None:
                session.shelf.drop_husk(husk)  # it may be bound to a lease that comes too late
            raise
        if answer.response.HasField("refused"):
            if husk is not None:
                session.shelf.keep_husk(husk)
            return answer.response.refused
        return await self._deliver(session, tenant, answer, husk)

    async def _deliver(
        self, session: AsyncSession, tenant: str, answer: Answer, husk: Husk | None
    ) -> Grant:
        """The connection of a lease that was granted. However that ends, no lease is left over."""
        hands_over = self._takes_sockets and not session.uses_grpc
        try:
            grant = await deliver(session, tenant, answer, husk, self._dress, hands_over)
        except BaseException:
            if (request := refund(answer.response)) is not None:
                with suppress(TenantpoolError):
                    session.tell(request)
            raise
        session.shelf.lend(grant)
        self._count(is_filled=husk is not None and grant.husk is husk)
        if self._configure is not None:
            await self._configure_one(self._configure, grant)
        return grant

    async def _configure_one(self, configure: Callable[[C], Awaitable[None]], grant: Grant) -> None:
        """Do to a new connection what the application asked for, and commit it."""
        conn: C = grant.conn  # type: ignore[assignment]
        try:
            await configure(conn)
            await conn.commit()
        except BaseException:
            grant.shelf.give_back(grant)
            raise

    def _count(self, *, is_filled: bool) -> None:
        self._counters.acquired += 1
        if is_filled:
            self._counters.hand_overs += 1
        else:
            self._counters.connects += 1
