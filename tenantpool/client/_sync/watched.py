# Generated from ../_async/watched.py by tools/generate_sync.py: do not edit.
"""A lease of a worker that query insight looks at."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING

from psycopg.pq import TransactionStatus

from tenantpool.client.grant import Grant
from tenantpool.client.reports import Reports
from tenantpool.insight._sync.cursor import watch
from tenantpool.insight._sync.explain import explain
from tenantpool.insight.lookout import Lookout, Sight
from tenantpool.insight.place import caller
from tenantpool.insight.watch import Slow, Watch

from .lease import C, Lease, finish

if TYPE_CHECKING:
    from .borrower import Borrower

_IDLE_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class WatchedLease(Lease[C]):
    """A lease whose statements are seen, as far as cursors of its connection run them."""

    __slots__ = ("_began", "_place", "_reports", "watch")

    watch: Watch
    """There while it is in use."""

    def __init__(
        self,
        borrower: Borrower[C],
        tenant: str,
        timeout: float | None,
        priority: int,
        reports: Reports,
    ) -> None:
        super().__init__(borrower, tenant, timeout, priority)
        self._reports = reports
        self._place = caller()
        self._began = 0.0

    @property
    def holder(self) -> str:
        """Where in the code the lease was asked for: ``file:line in function``."""
        return str(self._place)

    @property
    def held(self) -> float:
        """Seconds since it was granted; 0.0 when it is not in use."""
        return monotonic() - self._began if self._grant is not None else 0.0

    def __enter__(self) -> C:
        conn = super().__enter__()
        self._began = monotonic()
        self.watch = watch(conn, self.tenant, self._reports)
        return conn

    def end(self, *, failed: bool, dropped: bool = False) -> None:
        """As of every lease; then what its whole shows is told."""
        grant = self._grant
        try:
            if grant is not None:
                conn: C = grant.conn  # type: ignore[assignment]
                self.watch.end()
                if not dropped and (slow := self.watch.slow_read) is not None:
                    self._explain(grant, conn, slow, failed)
        finally:
            super().end(failed=failed, dropped=dropped)

    def _explain(self, grant: Grant, conn: C, slow: Slow, failed: bool) -> None:
        """Look at the plan of a *slow* read, unless the service wants the lease back.

        The holder's transaction is over before, so that nothing can go wrong in it. Raises what
        its commit raises.
        """
        insight = self._reports.insight
        if grant.is_wanted or grant.ended or not insight.may_explain(slow.shape):
            return
        finish(conn, failed)
        if grant.is_clean:
            self.watch.planned(slow, explain(conn, slow, insight.options))


def look_at(lookout: Lookout, grants: Iterable[Grant]) -> None:
    """Let *lookout* see the leases in use, for those that last too long. Does not block."""
    lookout.look(monotonic(), filter(None, map(_sight, grants)))


def _sight(grant: Grant) -> Sight | None:
    """What is seen of a lease in use, by its *grant*; None if nothing is. Does not block."""
    lease = grant.conn._pool
    if not isinstance(lease, WatchedLease):
        return None
    is_idle = grant.pgconn.transaction_status in _IDLE_IN_TRANSACTION
    return Sight(lease, grant.tenant, is_idle, lease.watch.last)
