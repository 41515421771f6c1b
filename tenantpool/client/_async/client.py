"""The client: what workers import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from random import uniform
from secrets import token_hex
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Self

from google.rpc.status_pb2 import Status
from psycopg import AsyncConnection

from tenantpool import tracing
from tenantpool.client import forks
from tenantpool.client.counters import ClientStats, Counters
from tenantpool.client.dress import Dress
from tenantpool.client.durations import set_seconds
from tenantpool.client.frames import Answer, refund
from tenantpool.client.grant import Grant
from tenantpool.client.husk import Husk
from tenantpool.client.notices import OnDrain
from tenantpool.client.reports import Reports
from tenantpool.client.retry import retry_pause
from tenantpool.client.target import TLS, Target, worker_name
from tenantpool.concurrency import AsyncSignal
from tenantpool.errors import (
    Draining,
    LeaseEnded,
    ManagerClosed,
    ServiceUnavailable,
    TenantpoolError,
)
from tenantpool.insight.insight import Insight
from tenantpool.status import from_status
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    DELIVERY_GATEWAY,
    DELIVERY_HAND_OFF,
    DELIVERY_UNSPECIFIED,
    Delivery,
)
from tenantpool.v1.session_pb2 import Hello, SessionRequest

from .delivery import deliver
from .environment import environment
from .lease import AsyncLease, C
from .session import AsyncSession
from .watched import AsyncWatchedLease, sight

_LINGER = 0.5
_CLOSE_GRACE = 5.0
_GOODBYE = 2.0
_LONGEST_ABSENCE = 30.0
_LONGEST_HELLO = 5.0
_SHORTEST_HELLO = 1.0
_SHORTEST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0
_GATEWAY_PAUSE = 0.05
_DAY = 86400.0
_SLACK = 1.0
"""Seconds by which the service may be late with an answer."""

_DELIVERIES: Mapping[str, Delivery] = {
    "": DELIVERY_UNSPECIFIED,
    "gateway": DELIVERY_GATEWAY,
    "hand-off": DELIVERY_HAND_OFF,
    "direct": DELIVERY_DIRECT,
}


class AsyncLeaseClient(Generic[C]):
    """Borrows connections from the lease service.

    *target*: ``unix:/run/tenantpool`` (the service's folder) on the same host, ``host:port`` from
    others; *token*: who asks. Without them TENANTPOOL_TARGET and TENANTPOOL_TOKEN say so. *tls*
    encrypts what goes over gRPC.

    It connects when the first lease is asked for, and again whenever the service was gone. Leases
    end with the session they were taken in. *linger*: for how many seconds a lease that came back
    clean is kept for the same tenant (0: not at all), unless the service wants it; session
    settings may still be as the lease before left them, as in psycopg_pool. *connection_class*,
    *kwargs* (``row_factory``, ``autocommit``, ``prepare_threshold``, ``cursor_factory``,
    ``context``) and *configure* are as in psycopg_pool. *delivery* (``hand-off``, ``gateway``,
    ``direct``) asks for one way to reach connections; by default the service chooses. *on_drain*
    is called, by a background task, when the service wants leases back; it must not block.
    *insight* looks at what is run; several clients may share one. What it finds goes to the service
    with the heartbeats, too.

    An AsyncLeaseClient belongs to the event loop it is first used on. A child process may go on
    using it, with a session of its own, if no gRPC was in use before the fork; leases are not
    inherited.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        token: str | None = None,
        tls: TLS | None = None,
        delivery: str = "",
        linger: float = _LINGER,
        connection_class: type[C] = AsyncConnection,  # type: ignore[assignment]
        kwargs: Mapping[str, Any] | None = None,
        configure: Callable[[C], Awaitable[None]] | None = None,
        on_drain: OnDrain | None = None,
        worker: str = "",
        insight: Insight | None = None,
    ) -> None:
        self._target = Target.find(target, token, tls)
        if delivery not in _DELIVERIES:
            raise ValueError(f"delivery {delivery!r}: must be one of {', '.join(_DELIVERIES)}")
        self._delivery = _DELIVERIES[delivery]
        self._takes_sockets = self._delivery in (DELIVERY_UNSPECIFIED, DELIVERY_HAND_OFF)
        self._linger = linger
        self._dress: Dress[C] = Dress(connection_class, kwargs)
        self._configure = configure
        self._on_drain = on_drain
        self._worker = worker
        self.insight = insight
        """What statements and leases tell; None if nothing is looked at."""
        self._reports = Reports(insight) if insight is not None else None
        self._lookout = self._reports.lookout() if self._reports is not None else None
        self._counters = Counters()
        self._closed = ""
        self._pause = _SHORTEST_PAUSE
        self._session: AsyncSession | None = None
        self._failure: TenantpoolError | None = None
        self._begin_anew()
        forks.watch(self)

    def __repr__(self) -> str:
        session = self._session
        state = self._closed or (repr(session.shelf) if session is not None else "not connected")
        return f"<{type(self).__name__} {self._target.name}: {state}>"

    # -- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self, timeout: float = _LONGEST_ABSENCE) -> None:
        """Connect now, and not with the first lease; wait up to *timeout* seconds for the service.

        Raises ServiceUnavailable, NotAuthenticated, NotAllowed.
        """
        await self._session_by(monotonic() + timeout)

    async def close(self, grace: float = _CLOSE_GRACE) -> int:
        """Take no more leases, wait up to *grace* seconds for those in use, and say goodbye.

        Return how many were still in use: they are cut. Closing twice does nothing.
        """
        if self._closed:
            return 0
        self._closed = "closed"
        async with self._connecting:
            session = self._session
        if session is None:
            return 0
        emptied = AsyncSignal()
        session.shelf.on_empty = emptied.set
        session.shelf.drain("")
        if session.shelf.counts()[0]:
            await emptied.wait(grace)
        cut = session.shelf.counts()[0]
        await session.leave(_GOODBYE)
        return cut

    # -- leases --------------------------------------------------------------------------------

    def connection(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> AsyncLease[C]:
        """A context manager that lends *tenant* a connection; see AsyncLease.

        It waits for up to *timeout* seconds (None: the tier's ``acquire_timeout``; 0: not at
        all), before requests of the same tenant with a lower *priority*. That includes the wait
        for a service that is not there (None: 30 seconds of it).
        """
        if self._reports is not None:
            return AsyncWatchedLease(self, tenant, timeout, priority, self._reports)
        return AsyncLease(self, tenant, timeout, priority)

    async def acquire(self, tenant: str, *, timeout: float | None = None, priority: int = 0) -> C:
        """Borrow a connection without a block; give it back with ``release``, or ``close`` it."""
        lease = self.connection(tenant, timeout=timeout, priority=priority)
        conn = await lease.__aenter__()
        tracing.leave(lease.span)
        return conn

    async def release(self, conn: C) -> None:
        """Give back what ``acquire`` gave. A transaction that is still open is rolled back.

        Raises LeaseEnded if *conn* was returned already, or never borrowed here.
        """
        lease = getattr(conn, "_pool", None)
        if not isinstance(lease, AsyncLease) or lease._client is not self:
            raise LeaseEnded(f"{conn!r} was not borrowed here")
        await lease.end(failed=True)

    @asynccontextmanager
    async def transaction(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> AsyncIterator[C]:
        """Lend a connection for one transaction block, begun already."""
        async with (
            self.connection(tenant, timeout=timeout, priority=priority) as conn,
            conn.transaction(),
        ):
            yield conn

    def creator(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> Callable[[], Awaitable[C]]:
        """What SQLAlchemy wants to connect with: ``close`` of its connections gives them back.

        For ``create_async_engine(..., async_creator=leases.creator("acme"), poolclass=NullPool)``.
        """
        return partial(self.acquire, tenant, timeout=timeout, priority=priority)

    async def environment(self, tenant: str, *, timeout: float | None = None) -> dict[str, str]:
        """PGHOST and others: with them any program of libpq's connects as *tenant*.

        A lease is taken at once, within *timeout* seconds, for the first connection; each further
        one takes another. They last for as long as this client is open. They hold a password, for
        nothing but this. Raises as entering a ``connection`` does.
        """
        session = await self._session_by(self._deadline(timeout))
        return await environment(session, tenant, timeout)

    def stats(self) -> ClientStats:
        """What has been counted, and the state of this moment. Does not block."""
        session, counted = self._session, self._counters
        lent, parked, husks = session.shelf.counts() if session is not None else (0, 0, 0)
        return ClientStats(
            lent=lent,
            parked=parked,
            husks=husks,
            sessions=counted.sessions,
            acquired=counted.acquired,
            reused=counted.reused,
            hand_overs=counted.hand_overs,
            connects=counted.connects,
            retries=counted.retries,
            recalls=counted.recalls,
            ended=counted.ended,
        )

    # -- borrowing -----------------------------------------------------------------------------

    async def _borrow(self, tenant: str, timeout: float | None, priority: int) -> Grant:
        """A lease in use: one that is parked, or a new one."""
        session = self._session
        if session is None or self._closed or not session.is_good():
            session = await self._session_by(self._deadline(timeout))
        grant = session.shelf.unpark(tenant)
        if grant is None:
            return await self._ask_until(session, tenant, timeout, priority)
        grant.renew(self._dress)
        self._counters.reused += 1
        return grant

    async def _ask_until(
        self, session: AsyncSession, tenant: str, timeout: float | None, priority: int
    ) -> Grant:
        """Ask the service, again where it says so or was gone, for as long as there is time."""
        deadline, left = self._deadline(timeout), timeout
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
            if pause is None or monotonic() + pause >= deadline:
                raise error
            self._counters.retries += 1
            await asyncio.sleep(pause)
            session = await self._session_by(deadline)
            left = None if timeout is None else max(0.0, deadline - monotonic())

    def _request(
        self, session: AsyncSession, tenant: str, timeout: float | None, priority: int
    ) -> SessionRequest:
        request = SessionRequest()
        acquire = request.acquire
        acquire.tenant = tenant
        if session.uses_grpc:
            # A Unix channel breaks only when the service, and with it the lease, is gone.
            acquire.request_id = f"{self._requests}-{next(self._numbers)}"
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
        if husk is not None:
            request.acquire.husk = husk.number
        try:
            answer = await session.call(request, _DAY if left is None else left + _SLACK)
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

    def _check(self, grant: Grant) -> None:
        """Find out whether the lease is over, as it is for a worker that was stopped for long."""
        session = self._session
        if session is not None and session.shelf is grant.shelf:
            session.is_good()

    def _look(self, grants: Iterable[Grant]) -> None:
        """Look at the leases in use, for those that last too long. Does not block."""
        assert self._lookout is not None
        self._lookout.look(monotonic(), filter(None, map(sight, grants)))

    # -- the session ---------------------------------------------------------------------------

    @staticmethod
    def _deadline(timeout: float | None) -> float:
        return monotonic() + (_LONGEST_ABSENCE if timeout is None else timeout)

    async def _session_by(self, deadline: float) -> AsyncSession:
        """The session, begun if there is none; until *deadline* for a service that is not there.

        Raises ServiceUnavailable then, and at once what the service refuses Hello with.
        """
        while True:
            async with self._connecting:
                if self._closed:
                    raise ManagerClosed(f"the client is {self._closed}")
                session = self._session
                if session is not None and session.is_good():
                    return session
                if monotonic() >= self._connect_at:
                    await self._try_connect(deadline)
                    continue
                failure = self._failure
            if monotonic() >= deadline:
                raise ServiceUnavailable(f"{self._target.name}: {failure}") from failure
            await asyncio.sleep(max(0.0, min(self._connect_at, deadline) - monotonic()))

    async def _try_connect(self, deadline: float) -> None:
        """Begin a session; note the failure if the service is not there."""
        if self._session is not None:
            await self._session.join()
        look = self._look if self._lookout is not None else None
        session = AsyncSession(
            self._target, self._linger, self._counters, self._on_drain, look, self._reports
        )
        left = deadline - monotonic()
        try:
            await session.open(self._hello(), min(max(left, _SHORTEST_HELLO), _LONGEST_HELLO))
        except (ServiceUnavailable, Draining) as error:
            # With some chance in it: the workers of a service that comes back do not come at once.
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._connect_at = monotonic() + self._pause * uniform(0.5, 1.0)
            self._failure = error
        else:
            tracing.find()  # it may have been set up since
            self._session = session
            self._pause = _SHORTEST_PAUSE
            self._counters.sessions += 1

    def _hello(self) -> Hello:
        name = self._worker or worker_name()
        if self._delivery:
            return Hello(worker=name, deliveries=[self._delivery])
        if self._target.channel():
            return Hello(
                worker=name, deliveries=[DELIVERY_HAND_OFF, DELIVERY_GATEWAY, DELIVERY_DIRECT]
            )
        return Hello(worker=name, deliveries=[DELIVERY_GATEWAY, DELIVERY_DIRECT])

    def _begin_anew(self) -> None:
        """Forget any session: there was none, or it is another process's."""
        tracing.find()
        self._session = None
        self._connecting = asyncio.Lock()
        self._connect_at = 0.0
        self._pause = _SHORTEST_PAUSE
        self._failure = None
        self._requests = token_hex(8)
        self._numbers = count(1)

    def _disown(self) -> None:
        """This process is a fork of the one that used the client."""
        session = self._session
        self._begin_anew()
        if self._reports is not None:
            self._reports._disown()
        if session is None:
            return
        session.disown()
        if session.uses_grpc:
            self._closed = "of the parent process, where gRPC was in use: make one in each process"
