"""Leases that workers have parked, and asking for them when somebody needs them."""

from __future__ import annotations

import asyncio
from time import monotonic

from tenantpool.core.recalls import Recalls, is_outdated
from tenantpool.core.tenant import Tenant
from tenantpool.manager._async.shell import AsyncShell
from tenantpool.v1.session_pb2 import Recall, SessionResponse

from .loan import Loan, seconds
from .worker import Worker

_AGAIN = 0.05
"""Seconds, at least, until one who waits asks for parked leases once more."""
_OUTDATED_QUIET = 5.0
"""Seconds for which nothing is parked where a lease should not go on; then it is said again."""


class Parking:
    """Tells workers what is needed of what they may have parked; decided in ``core.recalls``.

    *quiet* is for how long they park nothing then, in seconds. Belongs to an event loop.
    """

    def __init__(self, quiet: float) -> None:
        self._recalls = Recalls(quiet)
        self._waiting: set[Tenant] = set()
        """Those for whom parked leases will be asked for again."""
        self._outdated: dict[Loan, None] = {}
        self._timer: asyncio.Handle | None = None

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
            _tell(recall.who, recall.database, only, self.quiet)
        if tenant not in self._waiting:
            self._waiting.add(tenant)
            again = max(self.quiet, _AGAIN)
            asyncio.get_running_loop().call_later(again, self._ask_again, shell, tenant)

    def _ask_again(self, shell: AsyncShell, tenant: Tenant) -> None:
        self._waiting.discard(tenant)
        if tenant.queue:
            self.ask(shell, tenant)

    def end(self, loan: Loan) -> None:
        """Let *loan* go back when its worker is done with it, or now if it is parked."""
        self._outdated[loan] = None
        if self._timer is not None:
            self._timer.cancel()
        # Soon, as others of the same worker are likely to follow.
        self._timer = asyncio.get_running_loop().call_soon(self._ask_for_outdated)

    def _ask_for_outdated(self) -> None:
        """It is said until they have come back: one may be in use for long, and be parked then."""
        self._outdated = {loan: None for loan in self._outdated if is_outdated(loan)}
        asked = {(loan.worker, loan.shell.name, loan.tenant.name) for loan in self._outdated}
        for worker, database, tenant in asked:
            if worker is not None:
                _tell(worker, database, tenant, _OUTDATED_QUIET)
        self._timer = None
        if self._outdated:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_OUTDATED_QUIET, self._ask_for_outdated)


def _tell(worker: Worker, database: str, tenant: str, quiet: float) -> None:
    message = Recall(tenant=tenant, database=database, quiet=seconds(quiet))
    worker.notify(SessionResponse(recall=message))
