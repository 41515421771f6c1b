# Generated from ../_async/pool.py by tools/generate_sync.py: do not edit.
"""A tenant's pool with psycopg_pool's face, for code that was written for psycopg_pool."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from tenantpool.errors import AcquireTimeout, LeaseEnded, ManagerClosed, QueueFull, Refused

if TYPE_CHECKING:
    from .manager import Manager


class TenantPool(ConnectionPool[Connection[Any]]):
    """Looks like a psycopg_pool pool, and borrows from the manager.

    ``connection``, ``getconn``, ``putconn``, ``get_stats``, ``check``, ``drain`` and ``closed``
    do what the same names do there, and errors are psycopg_pool's, with the manager's own as
    their ``__cause__``. Its size is the manager's business: ``resize`` raises, ``open`` and
    ``close`` do nothing, since closing one tenant's pool is ``manager.drain``.
    """

    def __init__(self, manager: Manager, tenant: str, *, close_returns: bool = False) -> None:
        limits = manager.settings.tenant(tenant).limits
        super().__init__(
            min_size=limits.min_size,
            max_size=limits.ceiling,
            open=False,
            name=tenant,
            close_returns=close_returns,
            timeout=limits.acquire_timeout,
            max_waiting=limits.max_waiting,
            max_lifetime=limits.max_lifetime,
            max_idle=limits.max_idle,
        )
        self._manager = manager
        self._opened = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} of {self._manager!r}>"

    @property
    def closed(self) -> bool:
        """Whether the manager is closed."""
        return not self._manager.is_open

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Connection[Any]]:
        """Borrow a connection for a block: commit on success, roll back on error."""
        conn = self.getconn(timeout)
        try:
            with conn:
                yield conn
        finally:
            self.putconn(conn)

    def getconn(self, timeout: float | None = None) -> Connection[Any]:
        """Borrow a connection. Raises PoolTimeout, TooManyRequests or PoolClosed."""
        try:
            conn = self._manager.acquire(self.name, timeout=timeout)
        except QueueFull as error:
            raise TooManyRequests(str(error)) from error
        except AcquireTimeout as error:
            raise PoolTimeout(str(error)) from error
        except ManagerClosed as error:
            raise PoolClosed(str(error)) from error
        except Refused as error:
            raise PoolTimeout(str(error)) from error
        conn._pool = self
        return conn

    def putconn(self, conn: Connection[Any]) -> None:
        """Give a connection back. ValueError if it was not borrowed here."""
        self._check_pool_putconn(conn)
        try:
            self._manager.release(conn)
        except LeaseEnded as error:
            raise ValueError(f"can't return connection to pool {self.name!r}: {error}") from error

    def open(self, wait: bool = False, timeout: float = 30.0) -> None:
        """Nothing to do: it is open as long as its manager is."""

    def close(self, timeout: float = 5.0) -> None:
        """Nothing to do: its connections are the manager's."""

    def wait(self, timeout: float = 30.0) -> None:
        """Block until the pool has its ``min_size``, as far as there is room."""
        self._manager.warmup([self.name], timeout=timeout)

    def resize(self, min_size: int, max_size: int | None = None) -> None:
        """Raises TypeError: the tier says how large the pool may be."""
        raise TypeError("the size of a tenant's pool is the cap of its tier")

    def check(self) -> None:
        """Nothing to do: connections are tested before they are lent."""

    def drain(self) -> None:
        """Close the idle connections; new ones are opened as they are needed."""
        self._manager.evict(self.name)

    def _get_measures(self) -> dict[str, int]:
        stats = self._manager.stats().tenants.get(self.name)
        measures = super()._get_measures()
        if stats is None:
            return measures
        return measures | {
            self._POOL_SIZE: stats.pool_size,
            self._POOL_AVAILABLE: stats.pool_idle,
            self._REQUESTS_WAITING: stats.waiting,
            self._REQUESTS_NUM: stats.requests,
            self._REQUESTS_QUEUED: stats.waited,
            self._REQUESTS_WAIT_MS: int(1000 * stats.wait_mean * stats.leases),
            self._REQUESTS_ERRORS: sum(stats.refused.values()),
            self._USAGE_MS: int(1000 * stats.held),
            self._CONNECTIONS_ERRORS: stats.connect_failures,
            self._CONNECTIONS_LOST: stats.lost,
        }
