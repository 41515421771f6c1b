"""A worker's session, message by message, whatever carries them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine

from tenantpool.errors import BadRequest, NotAuthenticated, TenantpoolError
from tenantpool.journal import logger
from tenantpool.status import to_status
from tenantpool.v1.lease_pb2 import (
    DELIVERY_HAND_OFF,
    AcquireLeaseRequest,
    HandOffWay,
)
from tenantpool.v1.session_pb2 import (
    Beat,
    Farewell,
    HandOver,
    Hello,
    Join,
    SessionRequest,
    SessionResponse,
    Welcome,
)

from .desk import Desk
from .findings import largest
from .identity import Identity
from .loan import Loan, seconds
from .worker import Worker

Send = Callable[[SessionResponse, socket.socket | None], None]
"""Takes an answer, and the socket that goes with it. Must not block."""

End = Callable[[TenantpoolError], None]
"""Tells the worker why it is over, and hangs up. Must not block."""


class Conversation:
    """One stream, or one channel, of a worker's session.

    *send* takes what is to be said, *end* hangs up. *authenticate* tells who says Hello, from the
    token of the message (which may be empty where the transport knows already). *passes_sockets*
    is whether *send* can pass one.
    """

    def __init__(
        self,
        desk: Desk,
        send: Send,
        authenticate: Callable[[str], Identity],
        end: End,
        *,
        passes_sockets: bool,
    ) -> None:
        self.is_over = False
        self.end = end
        self._desk = desk
        self._send = send
        self._authenticate = authenticate
        self._passes_sockets = passes_sockets
        self._worker: Worker | None = None
        self._is_first = False
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._leaving: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {self._worker!r}, {len(self._waiting)} waiting>"

    @property
    def is_introduced(self) -> bool:
        """Whether it is known whose session it is."""
        return self._worker is not None

    def hear(self, request: SessionRequest) -> None:
        """Act on a message. Does not block: what takes time is answered later."""
        sequence = request.sequence
        try:
            kind = request.WhichOneof("request")
            if self._worker is None:
                self._introduce(request, kind)
            else:
                self._act(self._worker, request, kind)
        except TenantpoolError as error:
            self._refuse(sequence, error)
        except Exception:
            logger.exception("a session's message failed")
            self._refuse(sequence, TenantpoolError("bug: see the service's log"))

    def hang_up(self) -> None:
        """The stream has ended. Without a goodbye the session lives on until its TTL."""
        self.is_over = True
        for task in self._waiting.values():
            _cancel(task)
        if self._worker is not None:
            self._worker.lines.discard(self)
            if self._is_first:
                self._worker.notify = _nobody

    # -- what is said --------------------------------------------------------------------------

    def _introduce(self, request: SessionRequest, kind: str | None) -> None:
        if kind == "hello":
            self._begin(request.sequence, request.hello)
        elif kind == "join":
            self._join(request.sequence, request.join)
        else:
            raise NotAuthenticated("the first message must be Hello or Join")

    def _begin(self, sequence: int, hello: Hello) -> None:
        identity = self._authenticate(hello.token)
        deliveries = set(hello.deliveries)
        if not self._passes_sockets:
            deliveries.discard(DELIVERY_HAND_OFF)
        self._worker = self._desk.sessions.begin(identity, hello.worker, deliveries, self._notify)
        self._is_first = True
        self._welcome(sequence, self._worker)

    def _join(self, sequence: int, join: Join) -> None:
        self._worker = self._desk.sessions.join(join.session_pass)
        self._welcome(sequence, self._worker)

    def _welcome(self, sequence: int, worker: Worker) -> None:
        worker.lines.add(self)
        welcome = Welcome(
            session_id=worker.session_id,
            ttl=seconds(worker.ttl),
            heartbeat=seconds(worker.ttl / 3),
            gateways=self._desk.switchboard.gateways,
            session_pass=self._desk.sessions.session_pass(worker),
            max_findings_size=largest(self._desk.rules.max_request_size),
        )
        self._answer(SessionResponse(sequence=sequence, welcome=welcome))

    def _act(self, worker: Worker, request: SessionRequest, kind: str | None) -> None:
        match kind:
            case "acquire":
                self._acquire(worker, request.sequence, request.acquire)
            case "release":
                release = request.release
                self._desk.ledger.release(worker.identity, release.lease, broken=release.broken)
            case "heartbeat":
                self._desk.sessions.beat(worker)
                if request.heartbeat.findings:
                    self._desk.findings.hear(worker, request.heartbeat.findings)
                beat = Beat(ttl=seconds(worker.ttl))
                self._answer(SessionResponse(sequence=request.sequence, beat=beat))
            case "hand_over":
                self._hand_over(worker, request.sequence, request.hand_over.lease_id)
            case "cancel":
                if task := self._waiting.get(request.cancel.sequence):
                    _cancel(task)
            case "discard":
                self._desk.switchboard.discard(worker, request.discard.husks)
            case "goodbye":
                self._leaving = asyncio.create_task(self._leave(worker, request.sequence))
            case _:
                raise BadRequest(f"{kind or 'nothing'} makes no sense here")

    def _acquire(self, worker: Worker, sequence: int, wanted: AcquireLeaseRequest) -> None:
        if wanted.request_id:
            self._wait(sequence, self._acquire_once(worker, sequence, wanted))
            return
        loan = self._desk.ask(worker, wanted)
        if loan.way is not None:
            self._lend(sequence, loan)
        else:
            self._wait(sequence, self._settle(sequence, loan, wanted))

    async def _settle(self, sequence: int, loan: Loan, wanted: AcquireLeaseRequest) -> None:
        await self._desk.settle(loan, wanted)
        self._lend(sequence, loan)

    async def _acquire_once(
        self, worker: Worker, sequence: int, wanted: AcquireLeaseRequest
    ) -> None:
        self._lend(sequence, await self._desk.acquire(worker, wanted))

    def _hand_over(self, worker: Worker, sequence: int, lease_id: str) -> None:
        if not self._passes_sockets:
            raise BadRequest("sockets can only be handed over on the Unix channel")
        loan = self._desk.switchboard.hand_over(worker, lease_id)
        response = SessionResponse(sequence=sequence, handed_over=HandOver(husk=loan.husk))
        self._answer(response, loan.backend)

    async def _leave(self, worker: Worker, sequence: int) -> None:
        await self._desk.sessions.leave(worker)
        self._answer(SessionResponse(sequence=sequence, farewell=Farewell()))

    # -- what is answered ----------------------------------------------------------------------

    def _wait(self, sequence: int, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(self._answer_later(sequence, work))
        self._waiting[sequence] = task
        task.add_done_callback(lambda _: self._waiting.pop(sequence, None))

    async def _answer_later(self, sequence: int, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except TenantpoolError as error:
            self._refuse(sequence, error)
        except Exception:
            logger.exception("a session's request failed")
            self._refuse(sequence, TenantpoolError("bug: see the service's log"))

    def _lend(self, sequence: int, loan: Loan) -> None:
        response = SessionResponse(sequence=sequence)
        self._desk.say(loan, response.acquired.lease)
        carried = loan.backend if isinstance(loan.way, HandOffWay) else None
        self._answer(response, carried)

    def _refuse(self, sequence: int, error: TenantpoolError) -> None:
        self._answer(SessionResponse(sequence=sequence, refused=to_status(error)))

    def _answer(self, response: SessionResponse, carried: socket.socket | None = None) -> None:
        if not self.is_over:
            self._send(response, carried)

    def _notify(self, response: SessionResponse) -> None:
        self._answer(response)


def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel *task* once it has begun: one that never began would not give up its loan."""
    asyncio.get_running_loop().call_soon(task.cancel)


def _nobody(response: SessionResponse) -> None:
    """Nobody hears the notices of a session whose stream has ended."""
