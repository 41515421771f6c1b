# Generated from ../_async/watched.py by tools/generate_sync.py: do not edit.
"""A lease that query insight looks at."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg.pq import TransactionStatus

from tenantpool.core.request import GRANTED
from tenantpool.insight._sync.cursor import watch
from tenantpool.insight._sync.explain import explain
from tenantpool.insight.lookout import Sight
from tenantpool.insight.watch import Slow, Watch
from tenantpool.pools._sync.link import Link

from .lease import Lease

_IDLE_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class WatchedLease(Lease):
    """A lease whose statements are seen, as far as cursors of its connection run them."""

    __slots__ = ("watch",)

    watch: Watch
    """There while it is in use."""

    # Its base is named, as super() would cost a tenth of what is done for a lease here.

    def __enter__(self) -> Connection[Any]:
        conn = Lease.__enter__(self)
        insight = self.shell.insight
        assert insight is not None
        self.watch = watch(conn, self.tenant.name, insight)
        return conn

    def end(self, *, failed: bool, dropped: bool = False) -> None:
        """As of every lease; then what its whole shows is told."""
        link = self.link
        try:
            if link is not None:
                self.watch.end()
                if not dropped and (slow := self.watch.slow_read) is not None:
                    self._explain(link, slow, failed)
        finally:
            Lease.end(self, failed=failed, dropped=dropped)

    def _explain(self, link: Link, slow: Slow, failed: bool) -> None:
        """Look at the plan of a *slow* read, unless that would keep anybody waiting.

        The holder's transaction is over before, so that nothing can go wrong in it. Raises what
        its commit raises.
        """
        is_wanted = self.shell.core.ranking or (self.slot and self.slot.pool.ranking)
        insight = self.shell.insight
        if is_wanted or self.state != GRANTED or not insight or not insight.may_explain(slow.shape):
            return
        link.finish(failed=failed)
        if link.is_alive and link.is_clean:
            self.watch.planned(slow, explain(link.conn, slow, insight.options))


def sight(lease: Lease) -> Sight:
    """What is seen of a *lease* in use. Does not block."""
    link = lease.link
    status = None if link is None else link.conn.pgconn.transaction_status
    last = lease.watch.last if isinstance(lease, WatchedLease) and link is not None else 0.0
    return Sight(lease, lease.tenant.name, status in _IDLE_IN_TRANSACTION, last)
