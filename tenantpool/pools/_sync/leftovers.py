# Generated from ../_async/leftovers.py by tools/generate_sync.py: do not edit.
"""What a predecessor that crashed has left on the server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from time import monotonic

from psycopg.errors import InsufficientPrivilege

from .attendant import Attendant
from .direct import TERMINATE, Backend

_LEFT = """
    SELECT pid, pg_catalog.date_part('epoch', backend_start)
    FROM pg_catalog.pg_stat_activity
    WHERE (application_name = $1 OR pg_catalog.starts_with(application_name, $1 || ' '))
        AND pid <> pg_catalog.pg_backend_pid()
"""
_STILL = """
    SELECT pid, pg_catalog.date_part('epoch', backend_start)
    FROM pg_catalog.pg_stat_activity WHERE pid = ANY ($1::int[])
"""
_POLL = 0.02


class Leftovers:
    """Backends that carry *mark* before anybody of this manager connects with it.

    Theirs who connected with it are gone, or should be: backends outlive a crashed process when
    other processes have their sockets. Those that this login may not end are not waited for.
    """

    def __init__(self, attendant: Attendant, mark: str) -> None:
        self._attendant = attendant
        self._mark = mark
        self._left: set[Backend] | None = None
        self._beyond: set[Backend] = set()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self) if self.are_known else 'not looked for yet'}>"

    def __len__(self) -> int:
        """Those that have not gone yet, as far as they are known."""
        return len(self._left or ())

    @property
    def are_known(self) -> bool:
        """Whether they have been looked for: before, nothing of ours may connect."""
        return self._left is not None

    def end(self, timeout: float) -> None:
        """End them; wait for at most *timeout* seconds until they have gone.

        Blocks. Raises psycopg.Error.
        """
        left = self._look()
        deadline, told = monotonic() + timeout, set[Backend]()
        while left:
            for backend in left - told:
                told.add(backend)
                self._terminate(backend)
            pids = ",".join(backend.pid for backend in left)
            left &= set(_backends(self._attendant.ask(_STILL, f"{{{pids}}}")))
            if left <= self._beyond or monotonic() >= deadline:
                return
            time.sleep(_POLL)

    def _look(self) -> set[Backend]:
        """All of them: found once, as others that carry the mark later are our own."""
        if self._left is None:
            found = set(_backends(self._attendant.ask(_LEFT, self._mark)))
            if self._left is None:  # else somebody was faster, and may have let others connect
                self._left = found
        return self._left

    def _terminate(self, backend: Backend) -> None:
        try:
            self._attendant.ask(TERMINATE, *backend)
        except InsufficientPrivilege:
            self._beyond.add(backend)


def _backends(rows: Iterable[tuple[str | None, ...]]) -> list[Backend]:
    return [Backend(str(pid), started) for pid, started in rows]
