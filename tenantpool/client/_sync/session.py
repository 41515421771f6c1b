# Generated from ../_async/session.py by tools/generate_sync.py: do not edit.
"""A session: the worker's conversation with the service, from Hello to its end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from tenantpool.client.channel import Channel, Meanwhile
from tenantpool.client.counters import Counters
from tenantpool.client.durations import seconds
from tenantpool.client.frames import Answer
from tenantpool.client.gateway import way_in
from tenantpool.client.grant import Grant
from tenantpool.client.notices import Drain, OnDrain, tell
from tenantpool.client.reports import Reports
from tenantpool.client.shelf import Shelf
from tenantpool.client.target import Target
from tenantpool.concurrency import Alarm, Companion, Lock
from tenantpool.errors import ServiceUnavailable, TenantpoolError
from tenantpool.insight.finding import Finding
from tenantpool.status import from_status
from tenantpool.v1.lease_pb2 import GatewayAddress
from tenantpool.v1.session_pb2 import (
    Goodbye,
    Heartbeat,
    Hello,
    Join,
    SessionRequest,
    SessionResponse,
    Welcome,
)

if TYPE_CHECKING:
    from tenantpool.client.stream import Stream

_MARGIN = 0.1
"""Part of its time by which a session ends earlier for the worker than for the service."""
_LONGEST_BEAT = 5.0
_LATE = 0.1


class Session:
    """Begun once, and over once: lost, left, or not kept alive in time. Then all of it is.

    On the Unix channel, heartbeats and notices have a channel of their own (the *control*), so
    that answers on the *lane* never queue behind them. Over gRPC both are one stream.
    """

    def __init__(
        self,
        target: Target,
        linger: float,
        counters: Counters,
        on_drain: OnDrain | None,
        look: Callable[[Iterable[Grant]], None] | None = None,
        reports: Reports | None = None,
    ) -> None:
        self.session_id = ""
        self.session_pass = ""
        self.good_until = inf
        self.lost = ""
        self.uses_grpc = False
        self.shelf = Shelf(Lock(), linger, counters, self.tell, self._ring_at)
        self._target = target
        self._on_drain = on_drain
        self._look = look
        self._reports = reports
        self._findings_size = 0
        self._control: Channel | Stream | None = None
        self._lane: Channel | Stream | None = None
        self._beat_every = inf
        self._beat_at = inf
        self._late_at = inf
        self._wake_at = 0.0
        self._lock = Lock()
        self._alarm = Alarm()
        self._reader = Companion("tenantpool-client-reader")
        self._ticker = Companion("tenantpool-client-ticker")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.session_id}: {self.lost or 'open'}>"

    # -- life ----------------------------------------------------------------------------------

    def open(self, hello: Hello, timeout: float) -> None:
        """Connect and say *hello*, within *timeout* seconds.

        Raises ServiceUnavailable, NotAuthenticated, NotAllowed, or another refusal.
        """
        deadline = monotonic() + timeout
        path = self._target.channel()
        try:
            self._control = self._connect(path, timeout)
            self._reader.start(self._control.serve)
            if path:
                hello.token = self._target.token
            welcome = self._greet(self._control, SessionRequest(hello=hello), deadline)
            if path:
                self._lane = self._connect(path, deadline - monotonic())
                join = Join(session_pass=welcome.session_pass)
                self._greet(self._lane, SessionRequest(join=join), deadline)
            else:
                self._lane = self._control
        except BaseException as error:
            self.lose(str(error) or type(error).__name__)
            self.join()
            raise
        self.session_id, self.session_pass = welcome.session_id, welcome.session_pass
        self._beat_every = seconds(welcome.heartbeat) or seconds(welcome.ttl) / 3
        self._beat_at = monotonic() + self._beat_every
        self._findings_size = welcome.max_findings_size
        self._ticker.start(self._keep_up)

    def leave(self, timeout: float) -> None:
        """Say goodbye and wait up to *timeout* seconds for the farewell, after which all is over.

        A service that is not there any more is no error.
        """
        deadline = monotonic() + timeout
        if not self.lost and self._findings_size and self._reports:
            self._beat(timeout / 2)
        if not self.lost and self._lane is not None:
            with suppress(TenantpoolError):
                # On the lane, behind everything that was said there.
                left = deadline - monotonic()
                self._lane.call(SessionRequest(goodbye=Goodbye()), left)
        self.lose("the client is closed")
        self.join()

    def join(self) -> None:
        """Wait until nothing of a session that is over runs any more."""
        self._ticker.join()
        self._reader.join()

    def lose(self, reason: str) -> None:
        """It is over, for this *reason*: its leases are, too. Does not block."""
        if self.lost:
            return
        self.lost = reason
        for line in (self._control, self._lane):
            if line is not None:
                line.lose(reason)
        self.shelf.end(f"the session with the service is over: {reason}")
        self._alarm.ring()

    def disown(self) -> None:
        """This process is a fork: let go of everything, and leave the parent's as it is."""
        self.lost = "the session is of the parent process"
        self.shelf.disown(Lock())
        for line in (self._control, self._lane):
            if isinstance(line, Channel):
                line.disown()

    def is_good(self) -> bool:
        """Whether leases of it are; a worker that was stopped for long finds out here."""
        if not self.lost and monotonic() >= self.good_until:
            self.lose("its time is over, no heartbeat was answered")
        return not self.lost

    # -- talk ----------------------------------------------------------------------------------

    def call(
        self, request: SessionRequest, timeout: float, meanwhile: Meanwhile | None = None
    ) -> Answer:
        """Say *request*, do *meanwhile*, and wait up to *timeout* seconds for the answer.

        Raises ServiceUnavailable if there is none. A refusal is an answer.
        """
        if self._lane is None:
            raise ServiceUnavailable(self.lost)
        try:
            return self._lane.call(request, timeout, meanwhile)
        except BaseException:
            # Its answer may still come, when no thread waits and so none reads.
            self._late_at = monotonic() + _LATE
            self._ring_at(self._late_at)
            raise

    def tell(self, request: SessionRequest) -> None:
        """Say what is not answered. Does not block for long. ServiceUnavailable if it is over."""
        if self._lane is None:
            raise ServiceUnavailable(self.lost)
        self._lane.tell(request)

    def way_in(self, addresses: Iterable[GatewayAddress]) -> dict[str, str]:
        """libpq's parameters for the nearest of the gateway's *addresses*. LeaseEnded: none is."""
        return way_in(addresses, self._target)

    def _connect(self, path: str, timeout: float) -> Any:
        if path:
            sock = _connect_unix(path, timeout)
            return Channel(sock, self._hear, self.lose)
        from tenantpool.client.stream import Stream

        self.uses_grpc = True
        return Stream(self._target, self._hear, self.lose)

    def _greet(self, line: Channel | Stream, request: SessionRequest, deadline: float) -> Welcome:
        sent = monotonic()
        response = (line.call(request, max(0.0, deadline - sent))).response
        if response.HasField("refused"):
            raise from_status(response.refused)
        if request.HasField("hello"):
            self._live_on(sent, seconds(response.welcome.ttl))
        return response.welcome

    def _live_on(self, sent: float, ttl: float) -> None:
        """The service has said that the session lives for *ttl* seconds, counted from *sent*."""
        self.good_until = sent + ttl * (1 - _MARGIN)

    def _hear(self, notice: SessionResponse) -> None:
        match notice.WhichOneof("response"):
            case "recall":
                self.shelf.recall(notice.recall.tenant, seconds(notice.recall.quiet))
            case "ended":
                self.shelf.end_lease(notice.ended.lease_id, notice.ended.reason)
            case "drain":
                tenant = self.shelf.drain(notice.drain.lease_id)
                within = seconds(notice.drain.drain_within)
                tell(self._on_drain, Drain(tenant, within, notice.drain.reason))
            case "refused":
                self.lose(str(from_status(notice.refused)))

    # -- keeping up ----------------------------------------------------------------------------

    def _keep_up(self) -> None:
        """Heartbeats, and the return of what has been parked for long enough."""
        while self.is_good():
            if monotonic() >= self._wake_at:
                self._do_what_is_due()
            self._alarm.wait(self._wake_at - monotonic())

    def _do_what_is_due(self) -> None:
        if monotonic() >= self._beat_at:
            self._beat()
        if monotonic() >= self._late_at:
            self._catch_up()
        if self._look is not None:
            self._look(self.shelf.lent())
        # Whatever is parked from here on rings. It does so once, and not each time that the lease
        # is used again and comes back: what is not due when we come is simply left.
        with self._lock:
            self._wake_at = min(self._beat_at, self._late_at, self.good_until)
        due = self.shelf.expire(monotonic())
        with self._lock:
            self._wake_at = min(self._wake_at, due)

    def _catch_up(self) -> None:
        """Let answers be read that came when nobody waited for them any more."""
        self._late_at = inf
        if isinstance(self._lane, Channel):
            self._lane.catch_up()

    def _beat(self, longest: float = _LONGEST_BEAT) -> None:
        """Say that the worker is alive, and what it found; wait up to *longest* seconds.

        Without an answer it is said again, until it is too late.
        """
        sent = monotonic()
        self._beat_at = sent + self._beat_every
        patience = min(longest, max(0.0, self.good_until - sent))
        assert self._control is not None
        request = SessionRequest(heartbeat=Heartbeat())
        said = self._report(request.heartbeat)
        try:
            answer = self._control.call(request, patience)
        except ServiceUnavailable:
            self._take_back(said)
            return
        if answer.response.HasField("beat"):
            self._live_on(sent, seconds(answer.response.beat.ttl))
        else:
            self._take_back(said)
            self.lose(str(from_status(answer.response.refused)))

    def _report(self, heartbeat: Heartbeat) -> list[Finding]:
        """Let *heartbeat* say what was found, to a service that wants it."""
        if not self._findings_size or not self._reports:
            return []
        return self._reports.move_to(heartbeat, self._findings_size)

    def _take_back(self, said: list[Finding]) -> None:
        if self._reports is not None:
            self._reports.take_back(said)

    def _ring_at(self, when: float) -> None:
        """Let the ticker come at *when*, if it would come later."""
        if when >= self._wake_at:
            return
        with self._lock:
            self._wake_at = min(self._wake_at, when)
        self._alarm.ring()


def _connect_unix(path: str, timeout: float) -> socket.socket:
    """A socket that is connected to the service; ServiceUnavailable if it cannot be."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(max(0.001, timeout))
    try:
        sock.connect(path)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise ServiceUnavailable(f"{path}: {error.strerror or error}") from error
        raise
    return sock
