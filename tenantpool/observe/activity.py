"""What PostgreSQL itself says of its connections: asked only when somebody looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import psycopg

from tenantpool.errors import TenantpoolError
from tenantpool.manager._async.shell import AsyncShell
from tenantpool.pools._async.link import AsyncLink

_QUERY = """
SELECT a.pid, a.application_name, coalesce(a.state, ''),
       extract(epoch FROM clock_timestamp() - coalesce(a.state_change, a.backend_start)),
       extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.query_start)),
       coalesce(a.wait_event_type, ''), coalesce(left(a.query, 200), ''),
       coalesce(a.datname, ''), coalesce(a.usename, '')
FROM pg_catalog.pg_stat_activity AS a
WHERE a.backend_type = 'client backend' AND a.pid <> pg_catalog.pg_backend_pid()
"""
_FRESH = 1.0
_LONGEST = 10


@dataclass(frozen=True, slots=True)
class Backend:
    """A connection as the server sees it. Times are seconds."""

    pid: int
    tenant: str
    """Who holds it; empty: nobody, or it is not ours."""
    is_ours: bool
    state: str
    """Empty: we may not see it."""
    since: float
    """In this state."""
    age: float
    """Of the transaction, or else of the statement."""
    waits_for: str
    statement: str
    dbname: str
    user: str


@dataclass(frozen=True, slots=True)
class Activity:
    """All client connections of a server."""

    backends: Sequence[Backend]
    problem: str = ""
    """Why there is nothing to see."""

    @property
    def ours(self) -> list[Backend]:
        """Those of tenantpool's pools."""
        return [backend for backend in self.backends if backend.is_ours]

    @property
    def states(self) -> Mapping[str, tuple[int, int]]:
        """How many by state: ours, and others'."""
        ours = Counter(b.state or "hidden" for b in self.backends if b.is_ours)
        others = Counter(b.state or "hidden" for b in self.backends if not b.is_ours)
        return {state: (ours[state], others[state]) for state in sorted(ours | others)}

    @property
    def tenants(self) -> list[tuple[str, Mapping[str, int]]]:
        """Connections of tenants by state, those with most first."""
        found: dict[str, Counter[str]] = {}
        for backend in self.backends:
            if backend.tenant:
                found.setdefault(backend.tenant, Counter())[backend.state or "hidden"] += 1
        return sorted(found.items(), key=lambda row: (-sum(row[1].values()), row[0]))

    @property
    def longest(self) -> list[Backend]:
        """Statements and transactions that are under way, the longest first."""
        busy = [b for b in self.backends if b.is_ours and b.state not in ("idle", "")]
        return sorted(busy, key=lambda backend: -backend.age)[:_LONGEST]

    @property
    def is_hidden(self) -> bool:
        """Whether there are connections whose state our login may not see."""
        return any(not backend.state for backend in self.backends)


class Watcher:
    """Asks a server over the attendant's connection, at most once a second."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Activity]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} knows {len(self._known)} databases>"

    async def look(self, shell: AsyncShell) -> Activity:
        """The connections of the server of *shell*. Blocks for a query, at most."""
        known = self._known.get(shell.name)
        if known is not None and monotonic() - known[0] < _FRESH:
            return known[1]
        activity = await self._ask(shell)
        self._known[shell.name] = (monotonic(), activity)
        return activity

    async def _ask(self, shell: AsyncShell) -> Activity:
        if shell.core.breaker.state != "closed":
            return Activity((), "its breaker is not closed, so it is not asked")
        try:
            rows = await shell.steward.look_up(_QUERY)
        except (psycopg.Error, OSError, TenantpoolError) as error:
            return Activity((), f"it could not be asked: {error}")
        mark, holders = shell.steward.mark or "", _holders(shell)
        return Activity([_backend(row, mark, holders) for row in rows])


def _holders(shell: AsyncShell) -> dict[int, str]:
    """Who holds each backend of the pools; empty: nobody does."""
    found: dict[int, str] = {}
    for slot in shell.core.slots:
        if isinstance(slot.connection, AsyncLink):
            request = slot.request
            found[slot.connection.pid] = request.tenant.name if request is not None else ""
    return found


def _backend(row: Sequence[str | None], mark: str, holders: Mapping[int, str]) -> Backend:
    pid, application, state, since, age, waits_for, statement, dbname, user = (
        value or "" for value in row
    )
    number = int(pid)
    is_ours = number in holders or application == mark or application.startswith(f"{mark} direct-")
    return Backend(
        number,
        holders.get(number, ""),
        is_ours,
        state,
        float(since or 0.0),
        float(age or 0.0),
        waits_for,
        statement,
        dbname,
        user,
    )
