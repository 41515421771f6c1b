"""The ledger: the leases that are out, the time that each has, and every way in which one ends.

What their time is decided in ``core.tenure``; here it is kept, and what is due is carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from time import monotonic

from tenantpool.concurrency import AsyncAlarm, AsyncCompanion, AsyncSignal
from tenantpool.config.service import Service
from tenantpool.core import tenure as times
from tenantpool.core.tenure import Tenure, TenureLimits, Tenures
from tenantpool.errors import BadRequest, LeaseEnded, LeaseTooLong, StaleToken
from tenantpool.journal import logger
from tenantpool.status import to_lease_error
from tenantpool.v1.lease_pb2 import DELIVERY_DIRECT, LeaseRef, Renewal

from .identity import Identity
from .loan import Loan, seconds
from .worker import Worker

_MOST_RENEWALS = 1000


class Ledger:
    """The leases of all workers. *ended* is told of each that ends, before its holder is.

    *lapsed* is told when the time of a worker's session is over, after its leases. Belongs to the
    event loop that started it.
    """

    def __init__(
        self, rules: Service, ended: Callable[[Loan], None], lapsed: Callable[[Worker], None]
    ) -> None:
        self._tenures = Tenures(_limits(rules))
        self._ended = ended
        self._lapsed = lapsed
        self._loans: dict[str, Loan] = {}
        self._lent = 0
        self._alarm = AsyncAlarm()
        self._wake_at = inf
        self._ticker = AsyncCompanion("tenantpool-ledger")
        self._emptied: AsyncSignal | None = None
        self._is_closed = False

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else f"{len(self._loans)} leases"
        return f"<{type(self).__name__} {state}>"

    @property
    def loans(self) -> Mapping[str, Loan]:
        """The leases in use, by id."""
        return self._loans

    def start(self) -> None:
        """Begin to watch the time. Does not block."""
        self._ticker.start(self._keep_time)

    async def close(self, grace: float) -> int:
        """Wait up to *grace* seconds for all leases to come back, and cut the rest.

        Return how many had to be cut.
        """
        self._emptied = AsyncSignal()
        if self._loans:
            await self._emptied.wait(grace)
        late = list(self._loans.values())
        for loan in late:
            self._cut(loan, "the service is closing")
        self._is_closed = True
        self._alarm.ring()
        await self._ticker.join()
        return len(late)

    def hurry(self) -> None:
        """Do not wait for leases to come back any longer: ``close`` goes on."""
        if self._emptied is not None:
            self._emptied.set()

    def adopt(self, rules: Service) -> None:
        """Follow other *rules* from now on; what is lent lives no shorter than before."""
        self._tenures.limits = _limits(rules)

    # -- the time of a session -----------------------------------------------------------------

    def begin(self, worker: Worker) -> None:
        """Its session has begun: from now on its heartbeats keep its leases alive."""
        self._tenures.begin(worker.attendance)
        self.watch_time()

    def beat(self, worker: Worker) -> bool:
        """The worker is alive; return whether its session is, too."""
        return self._tenures.beat(monotonic(), worker.attendance)

    def leave(self, worker: Worker, reason: str) -> None:
        """Its session ends now, for this *reason*: cut what it still has. Does not block."""
        self._obey(self._tenures.leave(worker.attendance, reason))

    # -- the life of a lease -------------------------------------------------------------------

    def enter(self, loan: Loan, ttl: float) -> None:
        """It was granted, for *ttl* seconds unless it asks for others: its time begins."""
        self._lent += 1
        loan.token = self._lent
        loan.lease_id = f"{loan.tenant.name}/{loan.identity.name}/{self._lent}"
        worker = loan.worker
        loan.tenure = Tenure(
            worker.attendance if worker is not None else None,
            ttl if loan.ttl is None else loan.ttl,
            loan,
            loan.granted_at + (loan.tenant.limits.enforced_max_lease or inf),
        )
        self._tenures.grant(monotonic(), loan.tenure)
        self._loans[loan.lease_id] = loan
        loan.connected.is_lent_away = True
        if worker is None:
            self.watch_time()

    def move(self, loan: Loan, worker: Worker) -> None:
        """Its worker has begun another session, which it lives as long as from now on."""
        assert loan.tenure is not None
        self._tenures.move(loan.tenure, worker.attendance)

    def used(self, loan: Loan) -> None:
        """Its holder was seen using it."""
        assert loan.tenure is not None
        self._tenures.use(monotonic(), loan.tenure)

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
        self.watch_time()
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

    def _find(self, identity: Identity, ref: LeaseRef) -> Loan:
        loan = self._loans.get(ref.lease_id)
        if loan is None or loan.identity.name != identity.name:
            raise LeaseEnded(f"{ref.lease_id}: there is no such lease (any more)")
        if ref.fencing_token and ref.fencing_token != loan.token:
            raise StaleToken(f"{ref.lease_id}: the fencing token is {loan.token}")
        return loan

    # -- given back ----------------------------------------------------------------------------

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

    def end(self, loan: Loan, *, healthy: bool) -> None:
        """It came back; not *healthy* means that its connection must not be lent on."""
        if not self._forget(loan):
            return
        loan.is_healthy = healthy and loan.delivery != DELIVERY_DIRECT
        loan.wipe = loan.delivery != 0
        if not loan.cancels:
            _give_back(loan)

    def cancelled(self, loan: Loan) -> None:
        """A cancel has arrived: if the lease has ended meanwhile, it can be given back now."""
        if not loan.cancels and loan.lease_id not in self._loans:
            _give_back(loan)

    # -- taken away ----------------------------------------------------------------------------

    def revoke(self, prefix: str, drain_within: float, reason: str) -> int:
        """Want the leases back whose id begins so; return how many there are."""
        found = [loan for lease_id, loan in self._loans.items() if lease_id.startswith(prefix)]
        for loan in found:
            self.demand(loan, drain_within, reason)
        self.watch_time()
        return len(found)

    def revoke_one(self, lease_id: str, reason: str) -> bool:
        """Take this lease away, now; return whether there was one."""
        loan = self._loans.get(lease_id)
        if loan is not None:
            self._cut(loan, reason)
        return loan is not None

    def demand(self, loan: Loan, drain_within: float, reason: str) -> None:
        """Want it back within so many seconds; ``watch_time`` then."""
        assert loan.tenure is not None
        self._obey(self._tenures.want_back(monotonic(), loan.tenure, drain_within, reason))

    def wanted(self, loan: Loan) -> None:
        """The core wants it back, and knows by itself whether to end it at ``wanted_by``."""
        if loan.lease_id in self._loans:
            loan.tell_wanted(loan.wanted_within, loan.why)

    def lost(self, loan: Loan) -> None:
        """The core has revoked it: it was held for longer than its tier allows, for example."""
        if self._forget(loan, loan.why):
            loan.tell_ended(loan.why)

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
        self._ended(loan)
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
                    self._lapsed(attendance.of)

    def watch_time(self) -> None:
        """Something may be due earlier than was known. Does not block."""
        if self._tenures.next_at < self._wake_at:
            self._wake_at = self._tenures.next_at
            self._alarm.ring()

    async def _keep_time(self) -> None:
        while not self._is_closed:
            await self._alarm.wait(self._wake_at - monotonic())
            try:
                self._obey(self._tenures.wake(monotonic()))
            except Exception:
                # Without a clock no lease would ever expire.
                logger.exception("the ledger's upkeep failed, going on")
            self._wake_at = self._tenures.next_at


def _give_back(loan: Loan) -> None:
    loan.shell.release(loan, healthy=loan.is_healthy)


def _limits(rules: Service) -> TenureLimits:
    return TenureLimits(rules.lease_ttl_max, rules.lease_grace, rules.confirm_within)
