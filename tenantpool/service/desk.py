"""The desk: where leases are asked for, whichever way they are asked for and reached.

Who gets one is decided in the manager's cores; the desk carries the messages between them, the
workers and the gateway. What is lent stands in its ledger until it ends.
"""

from __future__ import annotations

import asyncio

from tenantpool import tracing
from tenantpool.config.service import Service
from tenantpool.core.request import GRANTED, WAITING
from tenantpool.core.tenure import GRANTED as UNCONFIRMED
from tenantpool.errors import (
    BadRequest,
    LeaseEnded,
    NotAllowed,
    NotAuthenticated,
    TenantpoolError,
)
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    AcquireLeaseRequest,
    DirectWay,
    Lease,
)
from tenantpool.v1.session_pb2 import DrainNotice, SessionResponse

from .admission import Admission, Again, Caller, check_session, identity_of
from .findings import Findings
from .ledger import Ledger
from .loan import Loan, seconds
from .parking import Parking
from .replays import Replays
from .sessions import Sessions
from .switchboard import Switchboard
from .tickets import Tickets
from .worker import Worker

_ITS_OWN_FAULT = (NotAllowed, NotAuthenticated, BadRequest)
"""Refusals of one who was granted a connection, and has not touched it."""


class Desk:
    """Lends, for every transport.

    Belongs to the event loop that started it.
    """

    def __init__(self, manager: AsyncManager, rules: Service) -> None:
        self.rules = rules
        self.admission = Admission(manager)
        self.findings = Findings(manager)
        self._manager = manager
        self.ledger = Ledger(rules, self._ended, self._lapsed)
        tickets = Tickets()
        self.sessions = Sessions(rules, self.ledger, tickets)
        self.switchboard = Switchboard(self, tickets)
        self._replays: Replays[Loan] = Replays()
        self._parking = Parking(rules.recall_quiet)
        self._state = "not open yet"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state}: {self.ledger!r}, {self.sessions!r}>"

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the time. Does not block."""
        self._state = "open"
        self.ledger.start()

    def drain(self, grace: float) -> None:
        """Take no new leases, and tell every session that all are wanted back. Does not block."""
        self._state = "draining"
        self.admission.is_closed = True
        self.sessions.close()
        self._manager.refuse()
        notice = DrainNotice(drain_within=seconds(grace), reason="the service is closing")
        for worker in list(self.sessions.workers.values()):
            worker.notify(SessionResponse(drain=notice))

    async def close(self, grace: float) -> int:
        """Wait up to *grace* seconds for all leases to come back, and cut the rest.

        Return how many had to be cut. Blocks until their connections are being closed; the
        manager's ``close`` waits until they are gone.
        """
        if self._state == "open":
            self.drain(grace)
        cut = await self.ledger.close(grace)
        self._state = "closed"
        return cut

    def adopt(self, rules: Service, again: Again) -> None:
        """Follow other *rules* from now on. Does not block.

        Who is not known any more, as *again* says, is told, gets nothing, and has ``drain_grace``
        to give back what it holds; then its sessions end. So do leases of tenants that their
        holder may not lease any more. Other leases and sessions live no shorter than before.
        """
        self.rules = rules
        self.ledger.adopt(rules)
        self._parking.quiet = rules.recall_quiet
        self.sessions.adopt(rules)
        self.admission.adopt(again)
        for worker in list(self.sessions.workers.values()):
            self._recheck(worker, again)
        for loan in list(self.ledger.loans.values()):
            try:
                self.admission.confirm(loan)
            except (NotAuthenticated, NotAllowed) as error:
                self.ledger.demand(loan, rules.drain_grace, str(error))
        self.ledger.watch_time()

    def _recheck(self, worker: Worker, again: Again) -> None:
        worker.barred = ""
        try:
            worker.identity = again(worker.identity)
        except NotAuthenticated as error:
            worker.barred = f"the session ends: {error}"
        else:
            if not worker.identity.can_lease:
                worker.barred = f"the session ends: {worker.identity.name} may not lease any more"
        if worker.barred and not worker.leases:
            self.sessions.end(worker)

    @property
    def is_open(self) -> bool:
        """Whether it lends."""
        return self._state == "open"

    # -- acquire -------------------------------------------------------------------------------

    async def acquire(
        self, caller: Caller, wanted: AcquireLeaseRequest, within: float | None = None
    ) -> Loan:
        """Lend a connection; *within*: seconds that the caller itself waits for the answer.

        Answers 0.1 s before that. Raises NotAllowed, BadRequest, RequestConflict, LeaseEnded (of a
        request id whose lease has ended) and Refused. If it is cancelled, nothing is left of the
        request, unless it has an id: then its repeat finds it.
        """
        if not wanted.request_id:
            return await self._lend(caller, wanted, within)
        check_session(caller)
        body = _untraced(wanted).SerializeToString(deterministic=True)
        key = (identity_of(caller).name, wanted.request_id)
        loan = await self._replays.once(key, body, lambda: self._lend(caller, wanted, within))
        if loan.lease_id not in self.ledger.loans:
            raise LeaseEnded(f"{loan.tenant.name}: the lease of this request_id has ended")
        if isinstance(caller, Worker) and loan.worker is not caller:
            self._move(loan, caller)
        return loan

    def _move(self, loan: Loan, worker: Worker) -> None:
        """The stream broke before the answer came, and the worker has begun another session."""
        self._part(loan)
        self.ledger.move(loan, worker)
        self._attach(loan, worker)

    def _attach(self, loan: Loan, worker: Worker) -> None:
        loan.worker = worker
        worker.leases += 1
        self._parking.lent(loan, worker)

    def _part(self, loan: Loan) -> None:
        if (worker := loan.worker) is not None:
            worker.leases -= 1
            if not worker.leases:
                self._parking.left(worker)
                if worker.barred:
                    # Not before it was told of this lease.
                    asyncio.get_running_loop().call_soon(self.sessions.end, worker)

    async def _lend(
        self, caller: Caller, wanted: AcquireLeaseRequest, within: float | None
    ) -> Loan:
        loan = self.ask(caller, wanted, within)
        if loan.way is None:
            await self.settle(loan, wanted)
        return loan

    def ask(self, caller: Caller, wanted: AcquireLeaseRequest, within: float | None = None) -> Loan:
        """Ask for a lease. Does not block; granted if its ``way`` is set, else ``settle`` it."""
        span = tracing.on.served(wanted) if tracing.on is not None else None
        loan = self._admit(caller, wanted, within, span)
        loan.shell.prepare(loan.tenant)
        try:
            if loan.ask() and not self.switchboard.is_direct(loan, wanted):
                self._grant(loan, wanted)
            elif loan.state == WAITING:
                self._parking.ask(loan.shell, loan.tenant)
        except TenantpoolError as error:
            self._give_up(loan, error, healthy=True)
            raise
        return loan

    def _admit(
        self,
        caller: Caller,
        wanted: AcquireLeaseRequest,
        within: float | None,
        span: tracing.LeaseSpan | None,
    ) -> Loan:
        if span is None:
            return self.admission.admit(self, caller, wanted, within)
        try:
            loan = self.admission.admit(self, caller, wanted, within)
        except TenantpoolError as error:
            span.refused(error)
            raise
        span.seated(loan.tenant, loan.shell.name)
        loan.span = span
        return loan

    async def settle(self, loan: Loan, wanted: AcquireLeaseRequest) -> None:
        """Wait until *loan* is granted. Raises the Refused."""
        try:
            await loan.settle()
            self.admission.confirm(loan)
            if self.switchboard.is_direct(loan, wanted):
                loan.way = DirectWay(conninfo=await loan.shell.make_direct(loan))
            self._grant(loan, wanted)
        except BaseException as error:
            self._give_up(loan, error, healthy=isinstance(error, _ITS_OWN_FAULT))
            raise

    def _give_up(self, loan: Loan, error: BaseException, *, healthy: bool) -> None:
        """It was not lent, or could not be delivered."""
        self.admission.dismiss(loan)
        if loan.span is not None:
            loan.span.refused(error)
        if loan.state == GRANTED:
            loan.shell.step(loan.shell.core.release, loan, healthy=healthy)

    # -- granting ------------------------------------------------------------------------------

    def _grant(self, loan: Loan, wanted: AcquireLeaseRequest) -> None:
        """Enter the lease in the books, and say how its connection is reached."""
        self.ledger.enter(loan, self.rules.lease_ttl)
        if loan.worker is not None:
            self._attach(loan, loan.worker)
        if loan.way is not None:
            loan.delivery = DELIVERY_DIRECT
        else:
            self.switchboard.open_way(loan, wanted.husk)
        if loan.span is not None:
            loan.span.granted(loan.granted_at - loan.since, loan.lease_id)

    def say(self, loan: Loan, lease: Lease) -> None:
        """Write the lease as the wire says it. A repeated request may be about one in use."""
        tenure = loan.tenure
        assert tenure is not None
        if tenure.attendance is not None:
            loan.grant(lease, None, None)
            return
        is_new = tenure.state == UNCONFIRMED
        confirm_within = min(tenure.ttl, self.rules.confirm_within) if is_new else None
        loan.grant(lease, tenure.ttl, confirm_within)

    def unpark(self, loan: Loan) -> None:
        """Its worker is not to go on with it when it is done."""
        if loan.worker is not None:
            self._parking.end(loan)

    # -- the end -------------------------------------------------------------------------------

    def _ended(self, loan: Loan) -> None:
        self.admission.dismiss(loan)
        self.switchboard.close_way(loan)
        self._part(loan)

    def _lapsed(self, worker: Worker) -> None:
        self.sessions.dismiss(worker)
        self.switchboard.discard(worker, list(worker.husks))


def _untraced(wanted: AcquireLeaseRequest) -> AcquireLeaseRequest:
    """What is asked for: a repeat of it may belong to another span."""
    if not wanted.traceparent:
        return wanted
    plain = AcquireLeaseRequest()
    plain.CopyFrom(wanted)
    plain.ClearField("traceparent")
    plain.ClearField("tracestate")
    return plain
