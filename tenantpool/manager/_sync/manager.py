# Generated from ../_async/manager.py by tools/generate_sync.py: do not edit.
"""The manager: what applications import."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from time import monotonic
from types import TracebackType
from typing import Any, Self

from psycopg import Connection
from psycopg.abc import Params, QueryNoTemplate

from tenantpool import tracing
from tenantpool.concurrency import Alarm, Companion, Lock
from tenantpool.config import Settings
from tenantpool.core.tenant import Tenant
from tenantpool.errors import LeaseEnded, ManagerClosed
from tenantpool.manager import forks
from tenantpool.manager.capacity import check_mark
from tenantpool.manager.health import Health, assess
from tenantpool.manager.journal import logger
from tenantpool.manager.result import Result
from tenantpool.manager.stats import ManagerStats, snapshot

from .lease import Lease
from .pool import TenantPool
from .shell import Shell

_LONGEST_START = 60.0
_LONGEST_WARMUP = 60.0
_LONGEST_DRAIN = 60.0

_LEASE = "_tenantpool_lease"
"""Where a connection that was acquired keeps its lease, so that both can be forgotten together."""

Progress = Callable[[str, int, int], None]
"""Called with a tenant that is warm (or could not be), how many are done, and of how many."""


class Manager:
    """Lends every tenant connections from a pool of its own, under one limit per database.

    Use it as a context manager, or call ``open`` and ``close``. Pools come into being when their
    tenant is first asked for. *connection_class*, *kwargs* (``row_factory``, ``autocommit``,
    ``prepare_threshold``, ``cursor_factory``, ``context``) and *configure* are as in psycopg_pool:
    *configure* is called with every new connection, and again whenever a shared connection has
    been wiped for another tenant.

    A *mark* is for managers whose connections go to other processes, and must be nobody else's: it
    is the ``application_name`` of all connections; those that carry it when the manager opens
    are ended. One connection of each database's capacity is kept for this.

    A Manager belongs to the event loop that opened it. A manager is not inherited through a
    fork: make one in each process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        connection_class: type[Connection[Any]] = Connection,
        kwargs: Mapping[str, Any] | None = None,
        configure: Callable[[Connection[Any]], None] | None = None,
        mark: str | None = None,
    ) -> None:
        if mark is not None:
            check_mark(settings, mark)
        self.settings = settings
        self._mark = mark
        self._connection_class = connection_class
        self._kwargs = dict(kwargs or {})
        self._configure = configure
        self._state = "not open yet"
        self._shells: dict[str, Shell] = {}
        self._seats: dict[str, tuple[Shell, Tenant]] = {}
        self._wake_at = inf

    def __repr__(self) -> str:
        databases = ", ".join(
            f"{shell.name} {shell.core.used}/{shell.core.limits.capacity}"
            for shell in self._shells.values()
        )
        return f"<{type(self).__name__} {self._state}: {databases or repr(self.settings)}>"

    @property
    def is_open(self) -> bool:
        """Whether it lends connections."""
        return self._state == "open"

    # -- life ----------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Start work. Blocks only to ask the databases whose capacity is ``auto`` for it.

        Raises ConfigError if the guarantees exceed a capacity found out so, and ManagerClosed if
        this manager has been open before. A database that can't be reached is no error: its
        tenants are refused, and it is asked again.
        """
        if self._state != "not open yet":
            raise ManagerClosed(f"the manager is {self._state} and can't be opened")
        self._state = "open"
        tracing.find()
        self._lock = Lock()
        self._alarm = Alarm()
        self._ticker = Companion("tenantpool-ticker")
        self._shells = {name: self._make_shell(name) for name in self.settings.databases}
        forks.watch(self)
        self._ticker.start(self._keep_up)
        try:
            for answer in [shell.start() for shell in self._shells.values()]:
                answer.wait(_LONGEST_START)
            self._check_guarantees()
        except BaseException:
            self.close(0.0)
            raise

    def close(self, grace: float | None = None) -> int:
        """Refuse new leases, wait up to *grace* seconds for those in use, revoke the rest.

        *grace* is the settings' ``close_grace`` by default. Blocks until every backend is gone.
        Return how many leases had to be revoked. Closing twice does nothing.
        """
        if not self.is_open:
            return 0
        self._state = "closed"
        self._seats.clear()
        deadline = monotonic() + (self.settings.close_grace if grace is None else grace)
        self._alarm.ring()
        self._ticker.join()
        self.refuse()
        revoked = 0
        for shell in self._shells.values():
            revoked += shell.close(max(0.0, deadline - monotonic()))
        return revoked

    def _make_shell(self, name: str) -> Shell:
        return Shell(
            name,
            self.settings,
            alarm=self._ring_at,
            forget=self._forget,
            connection_class=self._connection_class,
            kwargs=self._kwargs,
            configure=self._configure,
            mark=self._mark,
        )

    def _check_guarantees(self) -> None:
        for shell in self._shells.values():
            if shell.steward.size:
                self.settings.check_capacity(shell.name, shell.steward.size)

    # -- leases --------------------------------------------------------------------------------

    def connection(self, tenant: str, *, timeout: float | None = None, priority: int = 0) -> Lease:
        """A context manager that lends *tenant* a connection; see Lease.

        It waits for up to *timeout* seconds (None: the tier's ``acquire_timeout``; 0: not at
        all), before requests of the same tenant with a lower *priority*. Raises UnknownTenant
        here, and any other Refused on entering.
        """
        shell, seat = self._seats.get(tenant) or self._admit(tenant)
        return Lease(shell, seat, timeout, priority)

    def acquire(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> Connection[Any]:
        """Borrow a connection without a block; give it back with ``release``."""
        lease = self.connection(tenant, timeout=timeout, priority=priority)
        conn = lease.__enter__()
        tracing.leave(lease.span)
        vars(conn)[_LEASE] = lease
        return conn

    def release(self, conn: Connection[Any]) -> None:
        """Give back what ``acquire`` gave. A transaction that is still open is rolled back.

        Raises LeaseEnded if *conn* was returned already, or never borrowed here.
        """
        lease: Lease | None = vars(conn).pop(_LEASE, None)
        if lease is None:
            raise LeaseEnded(f"{conn!r} was returned already, or not borrowed with acquire")
        lease.end(failed=True)

    def execute(
        self,
        tenant: str,
        query: QueryNoTemplate,
        params: Params | None = None,
        *,
        timeout: float | None = None,
    ) -> Result:
        """Run one statement by itself (statement mode), in no transaction block.

        The connection is back before this returns, with all rows in memory.
        """
        with self.connection(tenant, timeout=timeout) as conn:
            autocommit = conn.autocommit
            conn.set_autocommit(True)
            try:
                cursor = conn.execute(query, params)
                rows = cursor.fetchall() if cursor.description else []
            finally:
                if not conn.closed:
                    conn.rollback()  # of a transaction that the statement began
                    conn.set_autocommit(autocommit)
            return Result(rows, cursor.description, cursor.rowcount, cursor.statusmessage)

    @contextmanager
    def transaction(
        self, tenant: str, *, timeout: float | None = None, priority: int = 0
    ) -> Iterator[Connection[Any]]:
        """Lend a connection for one transaction block, begun already (transaction mode)."""
        with (
            self.connection(tenant, timeout=timeout, priority=priority) as conn,
            conn.transaction(),
        ):
            yield conn

    def pool(self, tenant: str, *, close_returns: bool = False) -> TenantPool:
        """The tenant's pool, for code that was written for psycopg_pool. Does not block.

        With *close_returns*, ``conn.close()`` gives a connection back, as SQLAlchemy wants it.
        """
        self.seat(tenant)
        return TenantPool(self, tenant, close_returns=close_returns)

    # -- the operator --------------------------------------------------------------------------

    def warmup(
        self,
        tenants: Iterable[str] | None = None,
        *,
        progress: Progress | None = None,
        timeout: float = _LONGEST_WARMUP,
    ) -> dict[str, int]:
        """Open the ``min_size`` of *tenants* (None: all that are listed) ahead of demand.

        Only spare capacity is used: nobody is evicted. Blocks until it is done, for at most
        *timeout* seconds a tenant. Return the connections that each tenant's pool has now.
        """
        names = list(self.settings.tenants if tenants is None else tenants)
        warm: dict[str, int] = {}
        for name in names:
            shell, seat = self.seat(name)
            shell.warm(seat, timeout)
            warm[name] = seat.pool.open
            if progress is not None:
                progress(name, len(warm), len(names))
        return warm

    def drain(self, tenant: str, timeout: float = _LONGEST_DRAIN) -> bool:
        """Refuse the tenant's requests until ``resume``, and close its connections.

        Blocks until its leases have come back, for at most *timeout* seconds. Return whether
        they have.
        """
        shell, seat = self.seat(tenant)
        return shell.drain(seat, timeout)

    def resume(self, tenant: str) -> None:
        """End a drain. Does not block."""
        shell, seat = self.seat(tenant)
        with shell.lock:
            shell.core.resume(seat)

    def refuse(self) -> None:
        """Refuse whoever waits, and every request from now on. Leases in use go on.

        Connections close as they come back; ``close`` does the rest. Does not block.
        """
        for shell in self._shells.values():
            shell.step(shell.core.shutdown)

    def evict(self, tenant: str) -> None:
        """Close the idle connections of the tenant's pool. Does not block."""
        shell, seat = self.seat(tenant)
        shell.step(shell.core.evict, seat)

    def reset_breaker(self, tenant: str) -> None:
        """Let the tenant's pool connect again at once. Does not block."""
        shell, seat = self.seat(tenant)
        shell.step(shell.core.reset_breaker, seat)

    def leases(self) -> list[Lease]:
        """The leases in use: ``tenant``, ``holder``, ``held``. Does not block."""
        return [lease for shell in self._shells.values() for lease in shell.leases()]

    def revoke(self, lease: Lease) -> None:
        """Take a connection away from its holder. Does not block.

        Its backend is ended and only then is the slot free; the holder's next use of it fails.
        """
        shell = lease.shell
        shell.step(shell.core.revoke, lease)

    def stats(self) -> ManagerStats:
        """What has been counted, and the state of this moment. Does not block."""
        return snapshot(self._shells)

    def health(self) -> Health:
        """How each tenant and each database does, in words. Does not block."""
        return assess(self.stats())

    # -- inside --------------------------------------------------------------------------------

    @property
    def shells(self) -> Mapping[str, Shell]:
        """The databases at work, by name: for what watches them closely. Empty until ``open``."""
        return self._shells

    def seat(self, tenant: str) -> tuple[Shell, Tenant]:
        """Where the tenant is served: for the lease service. Does not block.

        Raises UnknownTenant, and ManagerClosed.
        """
        return self._seats.get(tenant) or self._admit(tenant)

    def _admit(self, name: str) -> tuple[Shell, Tenant]:
        """Look a tenant up in the configuration, once."""
        if not self.is_open:
            raise ManagerClosed(f"the manager is {self._state}")
        spec = self.settings.tenant(name)
        shell = self._shells[spec.pool.database]
        seat = self._seats[name] = (shell, shell.tenant(spec))
        return seat

    def _forget(self, name: str) -> None:
        self._seats.pop(name, None)

    def _disown(self) -> None:
        """This process is a fork of the one that opened the manager."""
        self._state = "of the parent process: make one in each process"
        self._seats.clear()
        for shell in self._shells.values():
            shell.disown()

    def _ring_at(self, when: float) -> None:
        """Let the ticker look after the cores at *when*, if it would do so later."""
        with self._lock:
            if when >= self._wake_at:
                return
            self._wake_at = when
        self._alarm.ring()

    def _keep_up(self) -> None:
        """Tell the cores the time: when they asked for it, and for the regular upkeep."""
        sweep_at = monotonic() + self.settings.sweep_interval
        while self.is_open:
            self._alarm.wait(min(self._wake_at, sweep_at) - monotonic())
            now = monotonic()
            try:
                if now >= self._wake_at:
                    self._wake()
                if now >= sweep_at:
                    sweep_at = now + self.settings.sweep_interval
                    self._sweep()
            except Exception:
                # Without a clock, waiters of every tenant could wait for ever.
                logger.exception("upkeep failed, going on")

    def _wake(self) -> None:
        with self._lock:
            self._wake_at = inf
        for shell in self._shells.values():
            shell.step(shell.core.wake)

    def _sweep(self) -> None:
        for shell in self._shells.values():
            shell.sweep()
