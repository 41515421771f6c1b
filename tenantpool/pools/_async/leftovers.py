"""What a predecessor that crashed has left on the server."""

from __future__ import annotations

import asyncio
from time import monotonic

from psycopg.errors import InsufficientPrivilege

from .attendant import AsyncAttendant

_LEFT = """
    SELECT pid FROM pg_catalog.pg_stat_activity
    WHERE (application_name = $1 OR pg_catalog.starts_with(application_name, $1 || ' '))
        AND pid <> pg_catalog.pg_backend_pid()
"""
_POLL = 0.02


async def end_leftovers(attendant: AsyncAttendant, mark: str, timeout: float) -> int:
    """End the backends that carry *mark*; return how many are still there after *timeout* seconds.

    Theirs who connected with it are gone, or should be: backends outlive a crashed process when
    other processes have their sockets. Those that this login may not end are not waited for.
    Blocks. Raises psycopg.Error.
    """
    deadline = monotonic() + timeout
    told: set[str | None] = set()
    beyond: set[str | None] = set()
    while True:
        left = {pid for (pid,) in await attendant.ask(_LEFT, mark)}
        for pid in left - told:
            told.add(pid)
            try:
                await attendant.ask("SELECT pg_catalog.pg_terminate_backend($1)", str(pid))
            except InsufficientPrivilege:
                beyond.add(pid)
        if left <= beyond or monotonic() >= deadline:
            return len(left)
        await asyncio.sleep(_POLL)
