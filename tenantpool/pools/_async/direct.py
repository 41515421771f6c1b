"""Leases whose workers connect to PostgreSQL by themselves."""

from __future__ import annotations

import asyncio
import re
from math import inf
from secrets import token_hex
from time import monotonic
from typing import NamedTuple

import psycopg
from psycopg import OperationalError

from .attendant import AsyncAttendant
from .link import AsyncLink

_ID_BYTES = 7
_SELDOM = 10.0
"""Seconds between looks when there is no such lease any more: a worker may come back all the same,
as it knows how to connect."""
_POLL = 0.02
_AFTER_FAILURE = 0.5

_LOOK = """
    SELECT pid, pg_catalog.date_part('epoch', backend_start), usename, application_name
    FROM pg_catalog.pg_stat_activity
    WHERE (application_name ~ $1 OR pid = ANY ($2::int[]))
        AND (backend_type IS NULL OR backend_type = 'client backend')
    ORDER BY backend_start, pid
"""
# One backend: its number, and when it started.
TERMINATE = """
    SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
    WHERE pid = $1 AND pg_catalog.date_part('epoch', backend_start)::text IS NOT DISTINCT FROM $2
"""
_MAY_END = """
    SELECT me.rolsuper OR (NOT login.rolsuper AND (pg_catalog.pg_has_role(login.oid, 'USAGE')
        OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')))
    FROM pg_catalog.pg_roles AS me, pg_catalog.pg_roles AS login
    WHERE me.rolname = current_user AND login.rolname = $1
"""


class Backend(NamedTuple):
    """One backend; its number alone may be another's a moment later."""

    pid: str
    started: str | None
    """None if this login may not know; it may not end it then either."""


class Listed(NamedTuple):
    """A backend as the server lists it: its login role, and what it calls itself."""

    backend: Backend
    user: str | None
    """None while it starts: it is given its name before its role."""
    name: str | None


class AsyncDirectLink(AsyncLink):
    """What stands in the place of a connection that a worker makes by itself.

    It is one connection: when the worker has two, the younger is ended at the next ``look``. One
    that has been seen is known by its backend, whatever it calls itself afterwards.
    """

    __slots__ = ("_directs", "_former", "_lock", "name", "seen", "user")

    def __init__(self, directs: AsyncDirects, former: AsyncLink, name: str) -> None:
        super().__init__(former.pool)
        self.name = name
        """The ``application_name`` that it must have."""
        self.user = former.conn.info.user
        """And its login role: whoever has that could end it anyway, others can only be named so."""
        self.conn = former.conn
        self._is_plain = False
        self.seen: list[Backend] = []
        """The worker's backends, as they were at the last look, the oldest first."""
        self._directs = directs
        self._former = former
        self._lock = asyncio.Lock()

    @property
    def is_clean(self) -> bool:
        """Never: nothing is known of it, so it is ended when it comes back."""
        return False

    async def make_room(self, timeout: float) -> bool:
        """End the connection that it takes the place of; return whether it is gone. Blocks."""
        async with self._lock:
            return await self._former.end(timeout)

    async def wipe(self, timeout: float) -> None:
        """There is nothing to be lent again: always psycopg.OperationalError."""
        raise OperationalError("a connection of the worker's own")

    async def cancel(self, timeout: float) -> None:
        """The worker can do so by itself."""

    async def end(self, timeout: float) -> bool:
        """End what the worker has connected, and wait for at most *timeout* seconds.

        Return whether it is gone; call again if not, as when the server can't be asked.
        """
        deadline = monotonic() + timeout
        async with self._lock:
            if not await self._former.end(timeout):
                return False
            while (pause := await self._try_to_end()) > 0:
                if monotonic() >= deadline:
                    return False
                await asyncio.sleep(pause)
        self._directs.forget(self)
        return True

    async def cut(self, timeout: float) -> bool:
        """As ``end``: nobody but the worker uses it anyway."""
        return await self.end(timeout)

    def abandon(self) -> None:
        """Do not wait any longer. Does not block."""
        self._former.abandon()
        self._directs.forget(self)

    def claim(self, listed: list[Listed]) -> list[Backend]:
        """Pick its own from what is *listed*, the oldest first, and remember them."""
        self.seen = [
            backend
            for backend, user, name in listed
            if (name == self.name and user in (self.user, None)) or backend in self.seen
        ]
        return self.seen

    async def _try_to_end(self) -> float:
        """Return 0 if nothing of the worker's is there, or the seconds to wait before a look."""
        try:
            mine = self.claim(await self._directs.listed())
            await self._directs.terminate(mine)
        except psycopg.Error:
            return _AFTER_FAILURE
        return _POLL if mine else 0.0


class AsyncDirects:
    """All direct leases of a database. *mark* is what their ``application_name`` begins with."""

    def __init__(self, attendant: AsyncAttendant, mark: str) -> None:
        self._attendant = attendant
        self._mark = mark
        self._ours = re.escape(mark) + f" direct-[0-9a-f]{{{2 * _ID_BYTES}}}"
        self._links: dict[AsyncDirectLink, None] = {}
        self._look_at = inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._links)} leases>"

    @property
    def seen(self) -> set[Backend]:
        """The backends of all leases, as they were at the last look. Does not block."""
        return {backend for link in list(self._links) for backend in link.seen}

    @property
    def is_due(self) -> bool:
        """Whether it is time to ``look``. Does not block."""
        return monotonic() >= self._look_at

    async def may_end(self, login: str) -> bool:
        """Whether backends of the role *login* can be ended. Blocks; raises psycopg.Error."""
        return await self._attendant.ask(_MAY_END, login) == [("t",)]

    def make(self, former: AsyncLink) -> AsyncDirectLink:
        """A link for the place of *former*, under a name of its own. Does not block."""
        link = AsyncDirectLink(self, former, f"{self._mark} direct-{token_hex(_ID_BYTES)}")
        self._links[link] = None
        self._look_at = 0.0
        return link

    def forget(self, link: AsyncDirectLink) -> None:
        """*link* has ended. Does not block; a second time does nothing."""
        self._links.pop(link, None)

    async def look(self) -> int:
        """End what is too much: second connections of a lease, and those of leases that ended.

        Return how many. Blocks; raises psycopg.Error.
        """
        self._look_at = monotonic() + (0.0 if self._links else _SELDOM)
        listed = await self.listed()
        kept: set[Backend] = set()
        extra: list[Backend] = []
        for link in list(self._links):
            mine = link.claim(listed)
            kept.update(mine)
            extra += mine[1:]
        extra += [
            backend
            for backend, _, name in listed
            if backend not in kept and re.fullmatch(self._ours, name or "")
        ]
        await self.terminate(extra)
        return len(extra)

    async def listed(self) -> list[Listed]:
        """Backends that are named as direct leases, or were, the oldest first.

        Blocks; raises psycopg.Error.
        """
        seen = ",".join(backend.pid for backend in self.seen)
        rows = await self._attendant.ask(_LOOK, f"^{self._ours}$", f"{{{seen}}}")
        return [Listed(Backend(str(pid), started), *who) for pid, started, *who in rows]

    async def terminate(self, backends: list[Backend]) -> None:
        """Tell *backends* to end. Blocks; raises psycopg.Error, also if that is not allowed."""
        for backend in backends:
            await self._attendant.ask(TERMINATE, *backend)
