"""A lease that query insight looks at."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from tenantpool.core.request import GRANTED
from tenantpool.insight._async.cursor import watch
from tenantpool.insight._async.explain import explain
from tenantpool.insight.lookout import Sight
from tenantpool.insight.watch import Slow, Watch
from tenantpool.pools._async.link import AsyncLink

from .lease import AsyncLease

_IDLE_IN_TRANSACTION = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class AsyncWatchedLease(AsyncLease):
    """A lease whose statements are seen, as far as cursors of its connection run them."""

    __slots__ = ("watch",)

    watch: Watch
    """There while it is in use."""

    # Its base is named, as super() would cost a tenth of what is done for a lease here.

    async def __aenter__(self) -> AsyncConnection[Any]:
        conn = await AsyncLease.__aenter__(self)
        insight = self.shell.insight
        assert insight is not None
        self.watch = watch(conn, self.tenant.name, insight)
        return conn

    async def end(self, *, failed: bool, dropped: bool = False) -> None:
        """As of every lease; then what its whole shows is told."""
        link = self.link
        try:
            if link is not None:
                self.watch.end()
                if not dropped and (slow := self.watch.slow_read) is not None:
                    await self._explain(link, slow, failed)
        finally:
            await AsyncLease.end(self, failed=failed, dropped=dropped)

    async def _explain(self, link: AsyncLink, slow: Slow, failed: bool) -> None:
        """Look at the plan of a *slow* read, unless that would keep anybody waiting.

        The holder's transaction is over before, so that nothing can go wrong in it. Raises what
        its commit raises.
        """
        is_wanted = self.shell.core.ranking or (self.slot and self.slot.pool.ranking)
        insight = self.shell.insight
        if is_wanted or self.state != GRANTED or not insight or not insight.may_explain(slow.shape):
            return
        await link.finish(failed=failed)
        if link.is_alive and link.is_clean:
            self.watch.planned(slow, await explain(link.conn, slow, insight.options))


def sight(lease: AsyncLease) -> Sight:
    """What is seen of a *lease* in use. Does not block."""
    link = lease.link
    status = None if link is None else link.conn.pgconn.transaction_status
    last = lease.watch.last if isinstance(lease, AsyncWatchedLease) and link is not None else 0.0
    return Sight(lease, lease.tenant.name, status in _IDLE_IN_TRANSACTION, last)
