"""The sessions of the workers that are connected."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from tenantpool.config.service import Service
from tenantpool.core.slot import GONE
from tenantpool.errors import Draining, IdentityLimit, LeaseEnded, NotAllowed, NotAuthenticated
from tenantpool.v1.lease_pb2 import Delivery
from tenantpool.v1.session_pb2 import SessionResponse

from .identity import Identity
from .ledger import Ledger
from .loan import Loan
from .tickets import Tickets
from .worker import Worker

_LONGEST_NAME = 64
_LONGEST_FAREWELL = 10.0
_GONE_POLL = 0.005


class Sessions:
    """Who is connected. Their leases end, and so do their times, in the *ledger*."""

    def __init__(self, rules: Service, ledger: Ledger, tickets: Tickets) -> None:
        self._rules = rules
        self._ledger = ledger
        self._tickets = tickets
        self._workers: dict[str, Worker] = {}
        self._by_identity: Counter[str] = Counter()
        self._closing = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._workers)} open>"

    @property
    def workers(self) -> Mapping[str, Worker]:
        """The workers, by session id."""
        return self._workers

    def begin(
        self,
        identity: Identity,
        name: str,
        deliveries: Iterable[Delivery],
        notify: Callable[[SessionResponse], None],
    ) -> Worker:
        """Begin a session; notices go to *notify*. Raises NotAllowed, IdentityLimit, Draining."""
        self._check(identity)
        worker = Worker(
            secrets.token_hex(8),
            identity,
            name[:_LONGEST_NAME] or identity.name,
            frozenset(deliveries),
            notify,
            monotonic(),
            self._rules.session_ttl,
            self._rules.lease_grace,
        )
        self._workers[worker.session_id] = worker
        self._by_identity[identity.name] += 1
        self._ledger.begin(worker)
        return worker

    def join(self, session_pass: str) -> Worker:
        """The session that this pass belongs to. Raises NotAuthenticated."""
        worker = self._workers.get(session_pass.partition(".")[0])
        if worker is None or not _is_same(session_pass, self.session_pass(worker)):
            raise NotAuthenticated("no session has this pass")
        if worker.barred:
            raise NotAuthenticated(worker.barred)
        return worker

    def session_pass(self, worker: Worker) -> str:
        """What joins further channels to the session, and opens the gateway to it."""
        return f"{worker.session_id}.{self._tickets.session_pass(worker.session_id)}"

    def beat(self, worker: Worker) -> None:
        """The worker is alive. Raises LeaseEnded if its session has ended."""
        if not self._ledger.beat(worker):
            raise LeaseEnded("the session has ended: its worker was not heard of for too long")

    async def leave(self, worker: Worker) -> None:
        """Goodbye: take back all it has, now. Blocks until its connections are gone."""
        loans = [tenure.of for tenure in worker.attendance.tenures]
        used = [loan.slot for loan in loans if isinstance(loan, Loan) and loan.delivery]
        self._ledger.leave(worker, "its session said goodbye")
        deadline = monotonic() + _LONGEST_FAREWELL
        while monotonic() < deadline:
            if all(slot is None or slot.state == GONE for slot in used):
                return
            await asyncio.sleep(_GONE_POLL)

    def end(self, worker: Worker) -> None:
        """It is barred: cut what it still has, tell it why, and hang up.

        Does not block; a second time does nothing.
        """
        self._ledger.leave(worker, worker.barred)
        error = NotAuthenticated(worker.barred)
        for line in list(worker.lines):
            line.end(error)

    def adopt(self, rules: Service) -> None:
        """Follow these *rules* from now on; sessions that are open live no shorter than before."""
        self._rules = rules
        for worker in self._workers.values():
            worker.adopt(rules.session_ttl, rules.lease_grace)

    def dismiss(self, worker: Worker) -> None:
        """Its session is over."""
        del self._workers[worker.session_id]
        self._by_identity[worker.identity.name] -= 1

    def close(self) -> None:
        """Begin no further session."""
        self._closing = True

    def _check(self, identity: Identity) -> None:
        if not identity.can_lease:
            raise NotAllowed(f"{identity.name} may not lease")
        if self._closing:
            raise Draining("", "the service is closing")
        most = self._rules.max_sessions
        if len(self._workers) >= most:
            raise IdentityLimit("", f"the service takes {most} sessions (max_sessions)")
        mine = identity.max_sessions
        if mine is not None and self._by_identity[identity.name] >= mine:
            raise IdentityLimit("", f"{identity.name} may have {mine} sessions (max_sessions)")


def _is_same(secret: str, expected: str) -> bool:
    """In constant time, whatever a stranger sends."""
    return secrets.compare_digest(secret.encode(), expected.encode())
