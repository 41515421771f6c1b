# Generated from ../_async/lease.py by tools/generate_sync.py: do not edit.
"""A lease of a worker: from the request for it to its return."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic

from psycopg import Connection
from psycopg.errors import Error
from typing_extensions import TypeVar

from tenantpool import tracing
from tenantpool.client.grant import Grant
from tenantpool.errors import LeaseEnded

if TYPE_CHECKING:
    from .borrower import Borrower

C = TypeVar("C", bound=Connection[Any], default=Connection[Any])


class Lease(Generic[C]):
    """``with leases.connection(tenant) as conn``: commit on success, roll back on error.

    A block that ends well commits, one that raises rolls back, and the connection goes back
    either way; ``conn.close()`` gives it back early. Entering waits for up to *timeout* seconds
    (None: the tier's ``acquire_timeout``; 0: not at all) and raises a ``Refused``,
    ``ServiceUnavailable`` or another TenantpoolError. A lease is used once.
    """

    __slots__ = ("_grant", "_is_used", "_priority", "_timeout", "borrower", "span", "tenant")

    def __init__(
        self, borrower: Borrower[C], tenant: str, timeout: float | None, priority: int
    ) -> None:
        self.tenant = tenant
        self.borrower = borrower
        self._timeout = timeout
        self._priority = priority
        self._grant: Grant | None = None
        self._is_used = False
        self.span: tracing.LeaseSpan | None = None

    def __repr__(self) -> str:
        state = "returned" if self._is_used else "not entered yet"
        return f"<{type(self).__name__} of {self.tenant}: {self._grant or state}>"

    @property
    def lease_id(self) -> str:
        """How the service names it; empty when it is not in use."""
        return self._grant.lease_id if self._grant is not None else ""

    def __enter__(self) -> C:
        if self._is_used:
            raise LeaseEnded(f"{self.tenant}: a lease is used once, ask for another")
        self._is_used = True
        if tracing.on is None:
            grant = self.borrower.borrow(self.tenant, self._timeout, self._priority)
        else:
            grant = self._borrow_traced(tracing.on)
        self._grant = grant
        conn: C = grant.conn  # type: ignore[assignment]
        conn._pool = self  # type: ignore[assignment]
        return conn

    def _borrow_traced(self, on: tracing.Tracing) -> Grant:
        span, since = on.borrowed(self.tenant), monotonic()
        with span.asking():
            grant = self.borrower.borrow(self.tenant, self._timeout, self._priority)
        span.granted(monotonic() - since, grant.lease_id)
        self.span = span
        return grant

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.span is not None:
            self.span.leave(error)
        if self._grant is not None:  # else the block has closed its connection
            self.end(failed=kind is not None, dropped=kind is GeneratorExit)

    def end(self, *, failed: bool, dropped: bool = False) -> None:
        """Give the connection back: commit what is open on it, or roll back if *failed*.

        A task that is thrown away can't wait for anything: what is open on the connection of one
        that was *dropped* ends with the connection.

        Raises what the commit raises, and LeaseEnded if the lease has ended before, in which case
        nothing was committed (unless *failed*: then an error is on its way already).
        """
        grant, self._grant = self._grant, None
        if grant is None:
            raise LeaseEnded(f"{self.tenant}: the lease was not entered, or ended already")
        self.borrower.check(grant)
        ended = grant.ended
        try:
            if not ended and not dropped and not grant.is_clean:
                finish(grant.conn, failed)
        finally:
            grant.shelf.give_back(grant)
            if self.span is not None:
                self.span.end(ended)
        if ended and not failed:
            raise LeaseEnded(f"{self.tenant}: {ended}")

    def close(self) -> None:
        """What ``conn.close()`` does: roll back what is open, and give the connection back.

        A second time does nothing.
        """
        if self._grant is not None:
            self.end(failed=True)


def finish(conn: Any, failed: bool) -> None:
    """End the transaction: commit, or roll back if the block *failed*.

    Raises what the commit raises; after it, the transaction is rolled back.
    """
    if conn.closed:
        return
    if not failed:
        try:
            conn.commit()
        except Error:
            _roll_back(conn)
            raise
        return
    _roll_back(conn)


def _roll_back(conn: Any) -> None:
    with suppress(Error):  # a connection that is not clean is not lent on
        conn.rollback()
