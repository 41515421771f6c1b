"""Fresh databases for tests, without paying for CREATE DATABASE in each of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from tenantpool.embedded import EmbeddedPostgres

# initdb gives no object a number from here on (FirstNormalObjectId).
IS_DIRTY = """
with this as (select * from pg_database where datname = current_database())
select exists (select from pg_class where oid >= 16384)
    or exists (select from pg_namespace where oid >= 16384)
    or exists (select from pg_proc where oid >= 16384)
    or exists (select from pg_type where oid >= 16384)
    or exists (select from pg_extension where oid >= 16384)
    or exists (select from pg_largeobject_metadata)
    or exists (select from pg_db_role_setting, this where setdatabase = this.oid)
    or exists (select from pg_shdepend, this where dbid = this.oid)
    or exists (select from this where datacl is not null or datconnlimit <> -1)
"""

END_SESSIONS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = any(%s) and pid <> pg_backend_pid()
"""


@dataclass
class DatabaseStock:
    """Lends databases of one server, and lends again those that came back as they went.

    CREATE DATABASE copies 8 MB, and most tests of a pool leave nothing in a database: only one in
    which something was left is dropped. Roles are the server's: a test drops its own.
    """

    server: EmbeddedPostgres
    _free: list[str] = field(default_factory=list)
    _lent: list[str] = field(default_factory=list)
    _made: int = 0

    def take(self, count: int = 1) -> list[str]:
        """Return the names of ``count`` empty databases."""
        names = [self._free.pop() if self._free else self._make() for _ in range(count)]
        self._lent += names
        return names

    def _make(self) -> str:
        self._made += 1
        name = f"test_{self._made}"
        self.server.create_database(name)
        return name

    def take_back(self) -> None:
        """End every session in the lent databases; drop those that are not empty any more."""
        names, self._lent = self._lent, []
        if not names:
            return
        self.server.start()  # the test may have stopped it
        self.server.execute(END_SESSIONS, [names])
        for name in names:
            self._take_back(name)

    def _take_back(self, name: str) -> None:
        if self._is_clean(name):
            self._free.append(name)
            return
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        self.server.execute(drop.as_string())

    def _is_clean(self, name: str) -> bool:
        try:
            return self.server.execute(IS_DIRTY, dbname=name) == [(False,)]
        except psycopg.OperationalError:  # dropped, or closed to connections
            return False
