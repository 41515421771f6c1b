# Generated from ../_async/client.py by tools/generate_sync.py: do not edit.
"""The client: what workers import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self

from psycopg import Connection

from tenantpool import forks, tracing
from tenantpool.client.counters import ClientStats, Counters
from tenantpool.client.dress import Dress
from tenantpool.client.notices import OnDrain
from tenantpool.client.reports import Reports
from tenantpool.client.target import TLS, Target
from tenantpool.concurrency import Signal
from tenantpool.errors import LeaseEnded
from tenantpool.insight.insight import Insight
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    DELIVERY_GATEWAY,
    DELIVERY_HAND_OFF,
    DELIVERY_UNSPECIFIED,
    Delivery,
)

from .borrower import Borrower
from .environment import environment
from .lease import C, Lease
from .link import LONGEST_ABSENCE, Link, deadline
from .session import Session
from .watched import WatchedLease, look_at

_LINGER = 0.5
_CLOSE_GRACE = 5.0
_GOODBYE = 2.0

_DELIVERIES: Mapping[str, Delivery] = {
    "": DELIVERY_UNSPECIFIED,
    "gateway": DELIVERY_GATEWAY,
    "hand-off": DELIVERY_HAND_OFF,
    "direct": DELIVERY_DIRECT,
}


class LeaseClient(Generic[C]):
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

    A LeaseClient belongs to the event loop it is first used on. A child process may go on
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
        connection_class: type[C] = Connection,  # type: ignore[assignment]
        kwargs: Mapping[str, Any] | None = None,
        configure: Callable[[C], None] | None = None,
        on_drain: OnDrain | None = None,
        worker: str = "",
        insight: Insight | None = None,
    ) -> None:
        self._target = Target.find(target, token, tls)
        if delivery not in _DELIVERIES:
            raise ValueError(f"delivery {delivery!r}: must be one of {', '.join(_DELIVERIES)}")
        self.insight = insight
        """What statements and leases tell; None if nothing is looked at."""
        self._reports = Reports(insight) if insight is not None else None
        look = partial(look_at, self._reports.lookout()) if self._reports is not None else None
        self._counters = Counters()
        make = partial(Session, self._target, linger, self._counters, on_drain, look, self._reports)
        way = _DELIVERIES[delivery]
        self._link = Link(self._target, worker, way, make)
        dress: Dress[C] = Dress(connection_class, kwargs)
        self._borrower = Borrower(self._link, dress, configure, way, self._counters)
        forks.watch(self)

    def __repr__(self) -> str:
        session = self._link.session
        state = repr(session.shelf) if session is not None else "not connected"
        return f"<{type(self).__name__} {self._target.name}: {self._link.closed or state}>"

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open(self, timeout: float = LONGEST_ABSENCE) -> None:
        """Connect now, and not with the first lease; wait up to *timeout* seconds for the service.

        Raises ServiceUnavailable, NotAuthenticated, NotAllowed.
        """
        self._link.session_by(deadline(timeout))

    def close(self, grace: float = _CLOSE_GRACE) -> int:
        """Take no more leases, wait up to *grace* seconds for those in use, and say goodbye.

        Return how many were still in use: they are cut. Closing twice does nothing.
        """
        if self._link.closed:
            return 0
        session = self._link.close()
        if session is None:
            return 0
        emptied = Signal()
        session.shelf.on_empty = emptied.set
        session.shelf.drain("")
        if session.shelf.counts()[0]:
            emptied.wait(grace)
        cut = session.shelf.counts()[0]
        session.leave(_GOODBYE)
        return cut

    # -- leases --------------------------------------------------------------------------------

    def connection(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> Lease[C]:
        """A context manager that lends *tenant* a connection; see Lease.

        It waits for up to *timeout* seconds (None: the tier's ``acquire_timeout``; 0: not at
        all), before requests of the same tenant with a lower *priority*. That includes the wait
        for a service that is not there (None: 30 seconds of it).
        """
        if self._reports is not None:
            return WatchedLease(self._borrower, tenant, timeout, priority, self._reports)
        return Lease(self._borrower, tenant, timeout, priority)

    def acquire(self, tenant: str, *, timeout: float | None = None, priority: int = 0) -> C:
        """Borrow a connection without a block; give it back with ``release``, or ``close`` it."""
        lease = self.connection(tenant, timeout=timeout, priority=priority)
        conn = lease.__enter__()
        tracing.leave(lease.span)
        return conn

    def release(self, conn: C) -> None:
        """Give back what ``acquire`` gave. A transaction that is still open is rolled back.

        Raises LeaseEnded if *conn* was returned already, or never borrowed here.
        """
        lease = getattr(conn, "_pool", None)
        if not isinstance(lease, Lease) or lease.borrower is not self._borrower:
            raise LeaseEnded(f"{conn!r} was not borrowed here")
        lease.end(failed=True)

    @contextmanager
    def transaction(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> Iterator[C]:
        """Lend a connection for one transaction block, begun already."""
        with (
            self.connection(tenant, timeout=timeout, priority=priority) as conn,
            conn.transaction(),
        ):
            yield conn

    def creator(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> Callable[[], C]:
        """What SQLAlchemy wants to connect with: ``close`` of its connections gives them back.

        For ``create_async_engine(..., async_creator=leases.creator("acme"), poolclass=NullPool)``.
        """
        return partial(self.acquire, tenant, timeout=timeout, priority=priority)

    def environment(self, tenant: str, *, timeout: float | None = None) -> dict[str, str]:
        """PGHOST and others: with them any program of libpq's connects as *tenant*.

        A lease is taken at once, within *timeout* seconds, for the first connection; each further
        one takes another. They last for as long as this client is open. They hold a password, for
        nothing but this. Raises as entering a ``connection`` does.
        """
        session = self._link.session_by(deadline(timeout))
        return environment(session, tenant, timeout)

    def stats(self) -> ClientStats:
        """What has been counted, and the state of this moment. Does not block."""
        session, counted = self._link.session, self._counters
        lent, parked, husks = session.shelf.counts() if session is not None else (0, 0, 0)
        return ClientStats(
            lent=lent,
            parked=parked,
            husks=husks,
            sessions=self._link.begun,
            acquired=counted.acquired,
            reused=counted.reused,
            hand_overs=counted.hand_overs,
            connects=counted.connects,
            retries=counted.retries,
            recalls=counted.recalls,
            ended=counted.ended,
        )

    def _disown(self) -> None:
        """This process is a fork of the one that used the client."""
        self._link.disown()
        if self._reports is not None:
            self._reports._disown()
