# Generated from ../_async/steward.py by tools/generate_sync.py: do not edit.
"""The steward of a database: how many connections it has for us, and who else holds some."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import psycopg

from tenantpool.concurrency import Lock
from tenantpool.config import Database, Settings
from tenantpool.config.resolved import PoolSpec
from tenantpool.core.request import GRANTED
from tenantpool.errors import ConnectFailed, LeaseEnded, NotAllowed
from tenantpool.journal import report
from tenantpool.libpq import join_conninfo
from tenantpool.manager.capacity import QUERY, room_of
from tenantpool.manager.register import Register
from tenantpool.pools._sync.answer import Row
from tenantpool.pools._sync.attendant import Attendant
from tenantpool.pools._sync.direct import Backend, Directs
from tenantpool.pools._sync.leftovers import Leftovers

if TYPE_CHECKING:
    from .lease import Lease


class Steward:
    """Finds out the capacity; with a *mark*, looks after connections that other processes hold.

    Every connection carries the mark as its ``application_name``, so that those which a crashed
    predecessor left are known, and ended before anything is lent. One slot of the capacity is
    kept for the attendant, who does all this and connects only when there is something to do.
    A mark belongs to one manager at a time: another one takes its backends for leftovers.
    """

    def __init__(
        self, name: str, settings: Settings, mark: str | None, register: Register | None = None
    ) -> None:
        self._name = name
        self._settings = settings
        self._mark = mark
        self._timeout = self._database.close_timeout
        self._attendant = Attendant(self._own_params, self._timeout)
        self._directs = Directs(self._attendant, mark or "")
        self._register = register
        self._registered: set[Backend] = set()
        self._leftovers = Leftovers(self._attendant, mark or "", self._noted)
        self._looking = False
        self.limit = 0
        """Connections that the server has for us and for others; 0: it was not asked."""
        self.size = 0 if mark else self._room()
        """Connections for tenants when nothing is left of a predecessor; 0 until it is known."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}: {self.size} connections, {self._directs!r}>"

    @property
    def mark(self) -> str | None:
        """The ``application_name`` of its connections; None: they have no common one."""
        return self._mark

    def params(self, spec: PoolSpec) -> dict[str, str]:
        """libpq's parameters for a connection of that pool. They hold the password."""
        params = self._settings.connection_params(spec)
        if self._mark is None:
            return params
        # What is lent to other processes must not be encrypted by libpq, unless it has to.
        return {"gssencmode": "disable"} | params | {"application_name": self._mark}

    @property
    def _database(self) -> Database:
        return self._settings.databases[self._name]

    # -- capacity ------------------------------------------------------------------------------

    def adopt(self, settings: Settings) -> int:
        """Act on other *settings*. Return how many connections there are for tenants now.

        0: not known, the server is to be asked (``learn``). Does not block.
        """
        self._settings = settings
        if self.asks or (self._mark is not None and not self._leftovers.are_known):
            return 0
        self.size = self._room()
        return max(0, self.size - len(self._leftovers))

    @property
    def has_own_slot(self) -> bool:
        """Whether it may connect at any time, within the capacity. Does not block."""
        return self._mark is not None

    @property
    def asks(self) -> bool:
        """Whether the server says what the capacity is. Does not block."""
        return self._database.capacity == "auto"

    def resize(self, limit: str | None) -> int:
        """The server has answered ``QUERY``. Return how many connections tenants have now."""
        self.limit = max(1, int(limit or 0))
        self.size = self._room()
        return max(0, self.size - len(self._leftovers))

    @property
    def has_leftovers(self) -> bool:
        """Whether backends of a predecessor take up capacity. Does not block."""
        return len(self._leftovers) > 0

    def learn(self) -> int:
        """Return how many connections there are for tenants now.

        Ends, with a mark, what a predecessor left; what can't be ended counts against the
        capacity, and is worth another look later. Blocks, bounded. Raises psycopg.Error, OSError.
        """
        asks = self.asks
        try:
            limit = self._limit() if asks else None
            if self._mark is not None:
                self._recover()
        finally:
            if self._mark is None:
                self._attendant.close()
        if asks:
            return self.resize(limit)
        self.size = self._room()
        return max(0, self.size - len(self._leftovers))

    def _room(self) -> int:
        return room_of(self._settings, self._name, self._mark, self.limit)

    def _limit(self) -> str | None:
        [(limit,)] = self._attendant.ask(QUERY)
        return limit

    def _recover(self) -> None:
        before = len(self._leftovers)
        self._leftovers.end(self._timeout)
        if len(self._leftovers) != before:
            report(
                logging.WARNING,
                "backends of a predecessor hold connections",
                database=self._name,
                backends=len(self._leftovers),
            )
        if self._register is not None and not self._leftovers:
            self._register.forget_left(self._name)

    def _noted(self) -> dict[int, float]:
        return self._register.left(self._name) if self._register is not None else {}

    def opened(self, pid: int, age: float) -> None:
        """There is a backend more, for *age* seconds. Does not block."""
        if self._register is not None:
            self._register.add(self._name, pid, age)

    def closed(self, pid: int) -> None:
        """It has ended. Does not block; also for one that is not known."""
        if self._register is not None:
            self._register.drop(self._name, pid)

    def _register_directs(self) -> None:
        """What workers have connected: of these it is the server's clock that tells their age."""
        seen, before = self._directs.seen, self._registered
        self._registered = seen
        for pid, _ in before - seen:
            self.closed(int(pid))
        for pid, started in seen - before:
            if started is not None:
                self.opened(int(pid), time.time() - float(started))

    # -- upkeep --------------------------------------------------------------------------------

    @property
    def is_due(self) -> bool:
        """Whether it is time to ``look``. Does not block."""
        return not self._looking and (self._directs.is_due or self._attendant.is_idle)

    def look(self) -> None:
        """End connections that nobody may have, and the attendant's if it is idle. Blocks."""
        self._looking = True
        try:
            if self._directs.is_due and (ended := self._directs.look()):
                report(
                    logging.WARNING,
                    "connections beside their direct leases were ended",
                    database=self._name,
                    backends=ended,
                )
            self._register_directs()
            self._attendant.rest()
        except (psycopg.Error, OSError) as error:
            report(logging.WARNING, "no look at direct leases", database=self._name, error=error)
        finally:
            self._looking = False

    def terminate(self, pid: int) -> None:
        """Tell a backend to end that did not end by itself; it must be there. Blocks, bounded.

        Without a mark there is no connection for it, so nothing is done.
        """
        if self._mark is None or not pid:
            return
        try:
            self._attendant.ask("SELECT pg_catalog.pg_terminate_backend($1)", str(pid))
        except (psycopg.Error, OSError) as error:
            report(logging.WARNING, "terminate failed", database=self._name, pid=pid, error=error)

    def look_up(self, query: str, *values: str | None) -> list[Row]:
        """Ask the server something over the attendant's connection; rows as text.

        Blocks, bounded. Raises psycopg.Error, OSError, and NotAllowed without a mark: there is no
        connection for it.
        """
        if self._mark is None:
            raise NotAllowed("a manager without a mark keeps no connection of its own")
        return self._attendant.ask(query, *values)

    def close(self) -> None:
        """Disconnect. Blocks until the attendant's backend is gone; bounded."""
        self._register_directs()
        self._attendant.close()

    # -- direct leases -------------------------------------------------------------------------

    def make_direct(self, lease: Lease, lock: Lock) -> str:
        """Let the worker connect by itself; see ``Shell.make_direct``."""
        link = lease.link
        if link is None or lease.slot is None:
            raise LeaseEnded(f"{lease.tenant.name}: the lease has ended")
        self._check_login(lease, link.conn.info.user)
        with lock:
            slot = lease.slot
            if slot is None:
                raise LeaseEnded(f"{lease.tenant.name}: the lease was revoked")
            slot.connection = lease.link = direct = self._directs.make(link)
            lease.wipe = True
        if not direct.make_room(self._timeout):
            raise ConnectFailed(
                lease.tenant.name, "its connection does not make room", database=self._name
            )
        self.closed(link.pid)
        if lease.state != GRANTED:
            raise LeaseEnded(f"{lease.tenant.name}: the lease was revoked")
        spec = self._settings.tenant(lease.tenant.name)
        pool = spec.pool._replace(startup=(*spec.pool.startup, *spec.session))
        return join_conninfo(self.params(pool) | {"application_name": direct.name})

    def _check_login(self, lease: Lease, login: str) -> None:
        if self._mark is None:
            raise NotAllowed("a manager without a mark lends nothing directly")
        try:
            may_end = self._directs.may_end(login)
        except (psycopg.Error, OSError) as error:
            raise ConnectFailed(
                lease.tenant.name,
                "the database could not be asked whether a direct lease could be ended",
                database=self._name,
                cause=error,
            ) from error
        if not may_end:
            raise NotAllowed(
                f"{lease.tenant.name}: connections of {login} can't be lent directly, as the login "
                f"of database {self._name} may not end them: grant it pg_signal_backend"
            )

    def _own_params(self) -> dict[str, str]:
        params = self.params(PoolSpec(self._name, ""))
        name = {"application_name": f"{self._mark} attendant"} if self._mark else {}
        return params | name
