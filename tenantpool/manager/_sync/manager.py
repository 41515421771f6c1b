# Generated from ../_async/manager.py by tools/generate_sync.py: do not edit.
"""The manager: what applications import."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self

from psycopg import Connection
from psycopg.abc import Params, QueryNoTemplate

from tenantpool import tracing
from tenantpool.config import Settings
from tenantpool.config.overrides import Overrides
from tenantpool.config.plan import Plan
from tenantpool.config.roster import Roster
from tenantpool.core.tenant import Tenant
from tenantpool.errors import LeaseEnded
from tenantpool.insight.insight import Insight
from tenantpool.manager.capacity import check_mark, check_room
from tenantpool.manager.foresight import Impact, impacts
from tenantpool.manager.health import Health, assess
from tenantpool.manager.recent import Recorder
from tenantpool.manager.result import Result
from tenantpool.manager.stats import ManagerStats, snapshot

from .lease import Lease
from .pool import TenantPool
from .runtime import Runtime
from .shell import Shell

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
    are ended. One connection of each database's capacity is kept for this. With a *register*, a
    file that outlives a crash, also those are known that have changed their name since.

    A Manager belongs to the event loop that opened it. A manager is not inherited through a
    fork: make one in each process.
    """

    def __init__(
        self,
        settings: Settings | Roster,
        *,
        connection_class: type[Connection[Any]] = Connection,
        kwargs: Mapping[str, Any] | None = None,
        configure: Callable[[Connection[Any]], None] | None = None,
        mark: str | None = None,
        register: Path | None = None,
    ) -> None:
        roster = settings if isinstance(settings, Roster) else Roster(settings)
        if mark is not None:
            check_mark(mark)
        check_room(roster.settings, mark)
        self._runtime = Runtime(
            roster, connection_class, dict(kwargs or {}), configure, mark, register
        )
        self._shells = self._runtime.shells
        self._seats = self._runtime.seating.seats
        self.scaling = self._runtime.scaling
        """Caps that follow what is used (``autoscale`` in a tier)."""

    def __repr__(self) -> str:
        databases = ", ".join(
            f"{shell.name} {shell.core.used}/{shell.core.limits.capacity}"
            for shell in self._shells.values()
        )
        return f"<{type(self).__name__} {self._runtime.state}: {databases or repr(self.settings)}>"

    @property
    def roster(self) -> Roster:
        """Who is a tenant now, and what each one gets."""
        return self._runtime.seating.roster

    @property
    def settings(self) -> Settings:
        """The configuration that is in force."""
        return self._runtime.settings

    @property
    def is_open(self) -> bool:
        """Whether it lends connections."""
        return self._runtime.is_open

    @property
    def insight(self) -> Insight | None:
        """What statements and leases tell; None unless the settings ask for it."""
        return self._runtime.insight

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
        """Start work. Blocks to ask the databases whose capacity is ``auto`` for it, and for the
        catalog.

        Raises ConfigError if the guarantees exceed a capacity found out so, and ManagerClosed if
        this manager has been open before. A database that can't be reached is no error: its
        tenants are refused, and it is asked again. So is a catalog that can't be read.
        """
        self._runtime.open()

    def close(self, grace: float | None = None) -> int:
        """Refuse new leases, wait up to *grace* seconds for those in use, revoke the rest.

        *grace* is the settings' ``close_grace`` by default. Blocks until every backend is gone.
        Return how many leases had to be revoked. Closing twice does nothing.
        """
        return self._runtime.close(self.settings.close_grace if grace is None else grace)

    # -- leases --------------------------------------------------------------------------------

    def connection(self, tenant: str, *, timeout: float | None = None, priority: int = 0) -> Lease:
        """A context manager that lends *tenant* a connection; see Lease.

        It waits for up to *timeout* seconds (None: the tier's ``acquire_timeout``; 0: not at
        all), before requests of the same tenant with a lower *priority*. Raises UnknownTenant
        here, and any other Refused on entering.
        """
        shell, seat = self._seats.get(tenant) or self._runtime.admit(tenant)
        return self._runtime.lease_class(shell, seat, timeout, priority)

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

    # -- configuration -------------------------------------------------------------------------

    def plan(self, settings: Settings | None = None, *, overrides: Overrides | None = None) -> Plan:
        """What ``apply`` would change, and what of it would need a restart.

        Blocks for a moment. Raises ConfigError for a capacity that has no room for the manager's
        own connections.
        """
        return self._runtime.changes.plan(settings, overrides)

    def foresee(self, settings: Settings) -> list[Impact]:
        """Whom these would hit, of those who have been asked for; see ``Impact``.

        Blocks for a moment.
        """
        roster, found = self.roster.with_settings(settings), []
        for impact in impacts(self._shells, roster, monotonic()):
            if impact is None:
                time.sleep(0)
            else:
                found.append(impact)
        return found

    def apply(
        self,
        settings: Settings | None = None,
        *,
        overrides: Overrides | None = None,
        by: Mapping[str, object] | None = None,
    ) -> Plan:
        """Let other settings, or other overrides, be in force; None: as they are.

        As a whole or not at all; one change after the other. What grows, grows at once. What
        shrinks does so as the tiers say: this does not wait for it. Waiting requests stay, also
        those of a tenant that moves. Return what was changed; the log has a line for each, with
        what *by* says of who wanted it.

        Blocks for a moment, and for at most 10 seconds for a new database whose capacity is
        ``auto``. Raises ConfigError for what needs a restart, for guarantees that are new and
        exceed a capacity that is known now, and for a capacity that has no room for the manager's
        own connections; and ManagerClosed.
        """
        return self._runtime.apply(settings, overrides, by or {})

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
        self._runtime.refuse()

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
        return self._runtime.leases()

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
        """How each tenant and each database does, in words, and what to set. Does not block.

        Tenants are judged by the last minutes, as soon as they have been watched for one.
        """
        servers = [shell.server for shell in self._shells.values()]
        return assess(self.stats(), list(self.recorder.recent(monotonic())), servers)

    # -- inside --------------------------------------------------------------------------------

    @property
    def shells(self) -> Mapping[str, Shell]:
        """The databases at work, by name: for what watches them closely. Empty until ``open``."""
        return self._shells

    @property
    def recorder(self) -> Recorder:
        """What tenants did in the last minutes: for what reads it some at a time."""
        return self._runtime.recorder

    def seat(self, tenant: str) -> tuple[Shell, Tenant]:
        """Where the tenant is served: for the lease service. Does not block.

        Raises UnknownTenant, and ManagerClosed.
        """
        return self._seats.get(tenant) or self._runtime.admit(tenant)
