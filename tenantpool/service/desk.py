"""The desk: where leases are asked for, kept alive and given back, whichever way they came.

How long leases live is decided in ``core.tenure``, who gets one in the manager's cores; the desk
carries the messages between them, the workers and the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from math import inf
from time import monotonic

from tenantpool import tracing
from tenantpool.concurrency import AsyncAlarm, AsyncCompanion, AsyncSignal
from tenantpool.config.service import Service
from tenantpool.core import tenure as times
from tenantpool.core.request import GRANTED, WAITING
from tenantpool.core.tenure import Tenure, TenureLimits, Tenures
from tenantpool.errors import (
    BadRequest,
    LeaseEnded,
    LeaseTooLong,
    NotAllowed,
    NotAuthenticated,
    StaleToken,
    TenantpoolError,
)
from tenantpool.journal import logger
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.status import to_lease_error
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    AcquireLeaseRequest,
    DirectWay,
    Lease,
    LeaseRef,
    Renewal,
)
from tenantpool.v1.session_pb2 import DrainNotice, SessionResponse

from .admission import Admission, Again, Caller, check_session, identity_of
from .findings import Findings
from .identity import Identity
from .loan import Loan, seconds
from .parking import Parking
from .replays import Replays
from .sessions import Sessions
from .switchboard import Switchboard
from .tickets import Tickets
from .worker import Worker

_MOST_RENEWALS = 1000

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
        self._tenures = Tenures(_limits(rules))
        tickets = Tickets()
        self.sessions = Sessions(rules, self._tenures, tickets, self._obey, self._watch_time)
        self.switchboard = Switchboard(self, tickets)
        self._replays: Replays[Loan] = Replays()
        self._parking = Parking(rules.recall_quiet)
        self._loans: dict[str, Loan] = {}
        self._lent = 0
        self._alarm = AsyncAlarm()
        self._wake_at = inf
        self._ticker = AsyncCompanion("tenantpool-desk")
        self._emptied: AsyncSignal | None = None
        self._state = "not open yet"

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._state}: {len(self._loans)} leases, {self.sessions!r}>"
        )

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the time. Does not block."""
        self._state = "open"
        self._ticker.start(self._keep_time)

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
        self._emptied = AsyncSignal()
        if self._loans:
            await self._emptied.wait(grace)
        late = list(self._loans.values())
        for loan in late:
            self._cut(loan, "the service is closing")
        self._state = "closed"
        self._alarm.ring()
        await self._ticker.join()
        return len(late)

    def adopt(self, rules: Service, again: Again) -> None:
        """Follow other *rules* from now on. Does not block.

        Who is not known any more, as *again* says, is told, gets nothing, and has ``drain_grace``
        to give back what it holds; then its sessions end. So do leases of tenants that their
        holder may not lease any more. Other leases and sessions live no shorter than before.
        """
        self.rules = rules
        self._tenures.limits = _limits(rules)
        self._parking.quiet = rules.recall_quiet
        self.sessions.adopt(rules)
        self.admission.adopt(again)
        for worker in list(self.sessions.workers.values()):
            self._recheck(worker, again)
        for loan in list(self._loans.values()):
            try:
                self.admission.confirm(loan)
            except (NotAuthenticated, NotAllowed) as error:
                self._demand(loan, rules.drain_grace, str(error))
        self._watch_time()

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

    @property
    def loans(self) -> Mapping[str, Loan]:
        """The leases in use, by id."""
        return self._loans

    def hurry(self) -> None:
        """Do not wait for leases to come back any longer: ``close`` goes on."""
        if self._emptied is not None:
            self._emptied.set()

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
        if loan.lease_id not in self._loans:
            raise LeaseEnded(f"{loan.tenant.name}: the lease of this request_id has ended")
        if isinstance(caller, Worker) and loan.worker is not caller:
            self._move(loan, caller)
        return loan

    def _move(self, loan: Loan, worker: Worker) -> None:
        """The stream broke before the answer came, and the worker has begun another session."""
        assert loan.tenure is not None
        self._part(loan)
        self._tenures.move(loan.tenure, worker.attendance)
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
        now = monotonic()
        self._lent += 1
        loan.token = self._lent
        loan.lease_id = f"{loan.tenant.name}/{loan.identity.name}/{self._lent}"
        worker = loan.worker
        loan.tenure = Tenure(
            worker.attendance if worker is not None else None,
            self.rules.lease_ttl if loan.ttl is None else loan.ttl,
            loan,
            loan.granted_at + (loan.tenant.limits.enforced_max_lease or inf),
        )
        self._tenures.grant(now, loan.tenure)
        self._loans[loan.lease_id] = loan
        loan.connected.is_lent_away = True
        if worker is not None:
            self._attach(loan, worker)
        else:
            self._watch_time()
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
        is_new = tenure.state == times.GRANTED
        confirm_within = min(tenure.ttl, self.rules.confirm_within) if is_new else None
        loan.grant(lease, tenure.ttl, confirm_within)

    # -- renew and release ---------------------------------------------------------------------

    def renew(
        self, identity: Identity, refs: Iterable[LeaseRef], ttl: float | None
    ) -> list[Renewal]:
        """Keep leases alive; each answers for itself. Leases of other identities have expired.

        Raises BadRequest if there are more than 1000.
        """
        wanted = list(refs)
        if len(wanted) > _MOST_RENEWALS:
            raise BadRequest(f"{len(wanted)} leases in one request, at most {_MOST_RENEWALS}")
        return [self._renew(identity, ref, ttl) for ref in wanted]

    def _renew(self, identity: Identity, ref: LeaseRef, ttl: float | None) -> Renewal:
        try:
            loan = self._find(identity, ref)
        except LeaseEnded as error:
            return Renewal(lease_id=ref.lease_id, error=to_lease_error(error))
        assert loan.tenure is not None
        left = self._tenures.renew(monotonic(), loan.tenure, ttl)
        self._watch_time()
        if not left and loan.tenure.state != times.DRAINING:
            longest = loan.tenant.limits.max_lease
            too_long = LeaseTooLong(f"{ref.lease_id}: its tier allows {longest:g} s (max_lease)")
            return Renewal(lease_id=ref.lease_id, error=to_lease_error(too_long))
        given = seconds(left)
        renewal = Renewal(lease_id=ref.lease_id, ttl=given)
        if loan.tenure.state == times.DRAINING:
            renewal.drain_within.CopyFrom(given)
        elif loan.wanted_by is not None:
            renewal.drain_within.CopyFrom(seconds(min(left, loan.wanted_within)))
        return renewal

    def release(self, identity: Identity, ref: LeaseRef, *, broken: bool = False) -> None:
        """Take a lease back. Does not block, and does not wait until its session is wiped.

        One that has ended is no error. Raises StaleToken.
        """
        try:
            loan = self._find(identity, ref)
        except StaleToken:
            raise
        except LeaseEnded:
            return
        if loan.plug is not None:
            # Its client is still connected, and nobody knows what it is doing.
            broken = True
            loan.plug.cut("the lease was released")
        self.end(loan, healthy=not broken)

    def _find(self, identity: Identity, ref: LeaseRef) -> Loan:
        loan = self._loans.get(ref.lease_id)
        if loan is None or loan.identity.name != identity.name:
            raise LeaseEnded(f"{ref.lease_id}: there is no such lease (any more)")
        if ref.fencing_token and ref.fencing_token != loan.token:
            raise StaleToken(f"{ref.lease_id}: the fencing token is {loan.token}")
        return loan

    def revoke(self, prefix: str, drain_within: float, reason: str) -> int:
        """Want the leases back whose id begins so; return how many there are."""
        found = [loan for lease_id, loan in self._loans.items() if lease_id.startswith(prefix)]
        for loan in found:
            self._demand(loan, drain_within, reason)
        self._watch_time()
        return len(found)

    def revoke_one(self, lease_id: str, reason: str) -> bool:
        """Take this lease away, now; return whether there was one."""
        loan = self._loans.get(lease_id)
        if loan is not None:
            self._cut(loan, reason)
        return loan is not None

    def _demand(self, loan: Loan, drain_within: float, reason: str) -> None:
        assert loan.tenure is not None
        self._obey(self._tenures.want_back(monotonic(), loan.tenure, drain_within, reason))

    def wanted(self, loan: Loan) -> None:
        """The core wants it back, and knows by itself whether to end it at ``wanted_by``."""
        if loan.lease_id in self._loans:
            loan.tell_wanted(loan.wanted_within, loan.why)

    def unpark(self, loan: Loan) -> None:
        """Its worker is not to go on with it when it is done."""
        if loan.worker is not None:
            self._parking.end(loan)

    def lost(self, loan: Loan) -> None:
        """The core has revoked it: it was held for longer than its tier allows, for example."""
        if self._forget(loan, loan.why):
            loan.tell_ended(loan.why)

    # -- the end of a lease --------------------------------------------------------------------

    def used(self, loan: Loan) -> None:
        """Its holder was seen using it."""
        assert loan.tenure is not None
        self._tenures.use(monotonic(), loan.tenure)

    def end(self, loan: Loan, *, healthy: bool) -> None:
        """It came back; not *healthy* means that its connection must not be lent on."""
        if not self._forget(loan):
            return
        loan.is_healthy = healthy and loan.delivery != DELIVERY_DIRECT
        loan.wipe = loan.delivery != 0
        if not loan.cancels:
            self._give_back(loan)

    def cancelled(self, loan: Loan) -> None:
        """A cancel has arrived: if the lease has ended meanwhile, it can be given back now."""
        if not loan.cancels and loan.lease_id not in self._loans:
            self._give_back(loan)

    def _give_back(self, loan: Loan) -> None:
        loan.shell.release(loan, healthy=loan.is_healthy)

    def _cut(self, loan: Loan, reason: str) -> None:
        """Take it away from its holder."""
        if not self._forget(loan, reason):
            return
        loan.tell_ended(reason)
        if loan.delivery:
            loan.shell.step(loan.shell.core.revoke, loan)
        else:
            loan.shell.step(loan.shell.core.release, loan)  # nobody ever had its connection

    def _forget(self, loan: Loan, reason: str = "") -> bool:
        """Strike it from the books; return whether it was in them. *reason*: it was taken away."""
        if self._loans.pop(loan.lease_id, None) is None:
            return False
        assert loan.tenure is not None
        self._tenures.end(loan.tenure)
        self.admission.dismiss(loan)
        self.switchboard.close_way(loan)
        self._part(loan)
        if loan.span is not None:
            loan.span.end(reason)
        if not self._loans and self._emptied is not None:
            self._emptied.set()
        return True

    # -- time ----------------------------------------------------------------------------------

    def _obey(self, actions: Iterable[times.Action]) -> None:
        for action in actions:
            match action:
                case times.Notify(tenure, drain_within, reason):
                    assert isinstance(tenure.of, Loan)
                    tenure.of.tell_wanted(drain_within, reason)
                case times.Cut(tenure, reason):
                    assert isinstance(tenure.of, Loan)
                    self._cut(tenure.of, reason)
                case times.Lapse(attendance):
                    assert isinstance(attendance.of, Worker)
                    self.sessions.dismiss(attendance.of)
                    self.switchboard.discard(attendance.of, list(attendance.of.husks))

    def _watch_time(self) -> None:
        if self._tenures.next_at < self._wake_at:
            self._wake_at = self._tenures.next_at
            self._alarm.ring()

    async def _keep_time(self) -> None:
        while self._state != "closed":
            await self._alarm.wait(self._wake_at - monotonic())
            try:
                self._obey(self._tenures.wake(monotonic()))
            except Exception:
                # Without a clock no lease would ever expire.
                logger.exception("the desk's upkeep failed, going on")
            self._wake_at = self._tenures.next_at


def _limits(rules: Service) -> TenureLimits:
    return TenureLimits(rules.lease_ttl_max, rules.lease_grace, rules.confirm_within)


def _untraced(wanted: AcquireLeaseRequest) -> AcquireLeaseRequest:
    """What is asked for: a repeat of it may belong to another span."""
    if not wanted.traceparent:
        return wanted
    plain = AcquireLeaseRequest()
    plain.CopyFrom(wanted)
    plain.ClearField("traceparent")
    plain.ClearField("tracestate")
    return plain
