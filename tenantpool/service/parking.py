"""Leases that workers have parked, and asking for them when somebody needs them."""

from __future__ import annotations

import asyncio
from time import monotonic

from tenantpool.core.recalls import Recalls
from tenantpool.core.tenant import Tenant
from tenantpool.manager._async.shell import AsyncShell
from tenantpool.v1.session_pb2 import Recall, SessionResponse

from .loan import Loan, seconds
from .worker import Worker

_AGAIN = 0.05
"""Seconds, at least, until one who waits asks for parked leases once more."""


class Parking:
    """Tells workers what is needed of what they may have parked; decided in ``core.recalls``.

    *quiet* is for how long they park nothing then, in seconds. Belongs to an event loop.
    """

    def __init__(self, quiet: float) -> None:
        self._recalls = Recalls(quiet)
        self._waiting: set[Tenant] = set()
        """Those for whom parked leases will be asked for again."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._recalls!r}, {len(self._waiting)} wait>"

    @property
    def quiet(self) -> float:
        """May be changed at any time."""
        return self._recalls.quiet

    @quiet.setter
    def quiet(self, seconds: float) -> None:
        self._recalls.quiet = seconds

    def lent(self, loan: Loan, worker: Worker) -> None:
        """*worker* has got a lease, which it may park."""
        self._recalls.lent(loan.shell.name, loan.tenant, worker)

    def left(self, worker: Worker) -> None:
        """*worker* has no lease any more."""
        self._recalls.left(worker)

    def ask(self, shell: AsyncShell, tenant: Tenant) -> None:
        """*tenant* waits: ask for what others have parked; and again, should it go on waiting."""
        for recall in self._recalls.waits(monotonic(), shell.name, tenant):
            assert isinstance(recall.who, Worker)
            only = recall.tenant.name if recall.tenant is not None else ""
            message = Recall(tenant=only, database=recall.database, quiet=seconds(self.quiet))
            recall.who.notify(SessionResponse(recall=message))
        if tenant not in self._waiting:
            self._waiting.add(tenant)
            again = max(self.quiet, _AGAIN)
            asyncio.get_running_loop().call_later(again, self._ask_again, shell, tenant)

    def _ask_again(self, shell: AsyncShell, tenant: Tenant) -> None:
        self._waiting.discard(tenant)
        if tenant.queue:
            self.ask(shell, tenant)
