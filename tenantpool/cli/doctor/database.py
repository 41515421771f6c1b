"""One database server: can it be reached, and does it have room for what is configured?"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, time
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from tenantpool.cli.doctor.check import Check, ok, problem, warning
from tenantpool.config import Settings
from tenantpool.config.resolved import PoolSpec

_APPLICATION = "tenantpool-doctor"
"""Not the service's mark: it would be taken for what a crashed one left behind."""
_LONGEST_CONNECT = 10
_OLDEST = 14
_CLOCKS_APART = 2.0
_STATEMENT_TIMEOUT = "-c statement_timeout=10s"

_SERVER = """
SELECT current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int,
       coalesce(current_setting('reserved_connections', true)::int, 0),
       coalesce(current_setting('idle_session_timeout', true), '0'),
       me.rolname, me.rolsuper, me.rolconnlimit,
       extract(epoch FROM clock_timestamp())::float8
FROM pg_catalog.pg_roles AS me WHERE me.rolname = current_user
"""
_OTHERS = """
SELECT coalesce(nullif(application_name, ''), '(no name)'), count(*)
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name <> ALL (%s) AND NOT starts_with(application_name, %s)
GROUP BY 1 ORDER BY 2 DESC, 1
"""
_MAY_END = """
SELECT login.rolname FROM pg_catalog.pg_roles AS login
WHERE login.rolname = ANY (%s) AND login.rolname <> current_user
  AND (login.rolsuper OR NOT pg_has_role(login.oid, 'USAGE'))
  AND NOT pg_has_role('pg_signal_backend', 'USAGE') ORDER BY 1
"""
_RULES = """
SELECT count(*) FILTER (WHERE error IS NOT NULL),
       count(*) FILTER (WHERE auth_method = 'trust' AND type LIKE 'host%'
                        AND address NOT IN ('127.0.0.1', '::1', 'localhost', 'samehost'))
FROM pg_catalog.pg_hba_file_rules
"""


class _Server(NamedTuple):
    """What the server says of itself and of us."""

    max_connections: int
    superuser_reserved: int
    reserved: int
    idle_session_timeout: str
    login: str
    is_superuser: bool
    login_limit: int
    clock: float

    @property
    def room(self) -> int:
        """Connections for whoever is no superuser."""
        return self.max_connections - self.superuser_reserved - self.reserved


class Examination:
    """Of one database, over one connection, which is closed at the end.

    ``capacity`` is what the service would have, or the configured one as long as nobody knows.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._database = settings.databases[name]
        written = self._database.capacity
        self.capacity = 0 if written == "auto" else written

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._name}>"

    def checks(self) -> Iterator[Check]:
        """Connect and look. Blocks, bounded."""
        started = monotonic()
        try:
            conn = self._connect()
        except (psycopg.Error, OSError, UnicodeError) as error:
            yield self._unreachable(" ".join(str(error).split()))
            return
        took = monotonic() - started
        try:
            yield from self._look(conn, took)
        except psycopg.Error as error:
            seen = f"the server does not answer: {str(error).strip()}"
            yield problem(self._of("questions"), seen, "see the server's log")
        finally:
            conn.close()

    def _connect(self) -> Connection[Any]:
        params = dict(self._settings.connection_params(PoolSpec(self._name, "")))
        params |= {"application_name": _APPLICATION}
        params.setdefault("connect_timeout", str(_LONGEST_CONNECT))
        params["options"] = f"{params.get('options', '')} {_STATEMENT_TIMEOUT}".strip()
        return Connection.connect(**params, autocommit=True)  # type: ignore[arg-type]

    def _look(self, conn: Connection[Any], took: float) -> Iterator[Check]:
        asked = time()
        row = conn.execute(_SERVER).fetchone()
        answered = time()
        assert row is not None
        server = _Server(*row)
        yield self._reached(conn, server, took)
        others = self._others(conn)
        yield from self._capacity(server, sum(others.values()))
        yield self._who_else(server, others)
        yield self._may_end(conn, server)
        yield self._clock(server, asked, answered)
        yield self._encryption(conn)
        yield from self._rules(conn)
        yield from self._settings_of(server)

    def _of(self, what: str) -> str:
        return f"database {self._name}: {what}"

    # -- reachable -----------------------------------------------------------------------------

    def _unreachable(self, error: str) -> Check:
        place = f"databases.{self._name}"
        remedies = {
            "password authentication failed": f"correct {place}.password",
            "no password supplied": f"set {place}.password, best as a secret file",
            "no pg_hba.conf entry": "add a line for this host, user and database to pg_hba.conf, "
            "and reload the server",
            "too many clients": "end some, or raise max_connections in postgresql.conf",
            "remaining connection slots": "end some, or raise max_connections in postgresql.conf",
            "does not exist": f"create it, or correct {place}.conninfo",
            "SSL": f"sslmode in {place}.conninfo must fit what the server offers",
            "timeout": "is there a firewall between? is the server up?",
        }
        found = next((fix for words, fix in remedies.items() if words in error), None)
        remedy = found or f"is the server up? host and port are in {place}.conninfo"
        return problem(self._of("login"), error, remedy)

    def _reached(self, conn: Connection[Any], server: _Server, took: float) -> Check:
        version = conn.info.parameter_status("server_version") or "?"
        seen = f"PostgreSQL {version}, as {server.login}, connected in {took * 1000:.0f} ms"
        if conn.info.server_version < _OLDEST * 10_000:
            remedy = f"upgrade: versions before {_OLDEST} get no fixes any more"
            return warning(self._of("login"), seen, remedy)
        if server.is_superuser:
            return warning(
                self._of("login"),
                f"{seen}, a superuser: row-level security does not hold for it",
                "use a login role of its own, without SUPERUSER",
            )
        return ok(self._of("login"), seen)

    # -- room ----------------------------------------------------------------------------------

    def _capacity(self, server: _Server, others: int) -> Iterator[Check]:
        subject, headroom = self._of("capacity"), self._database.headroom
        place = f"databases.{self._name}"
        room = (
            f"max_connections {server.max_connections} less {server.superuser_reserved} for "
            f"superusers and {server.reserved} reserved is {server.room}"
        )
        if self._database.capacity == "auto":
            self.capacity = max(0, server.room - headroom)
            yield ok(subject, f"{room}; auto gives {self.capacity}, headroom {headroom}")
        elif self.capacity > server.room:
            needed = self.capacity + headroom + server.max_connections - server.room
            yield problem(
                subject,
                f"{room}, and capacity is {self.capacity}",
                f"{place}.capacity: {max(1, server.room - headroom)}, or max_connections = "
                f"{needed} in postgresql.conf and a restart",
            )
        elif self.capacity + max(others, headroom) > server.room:
            yield warning(
                subject,
                f"{room}; capacity {self.capacity} leaves {server.room - self.capacity} to others,"
                f" who hold {others} now, and headroom is {headroom}",
                f"{place}.capacity: {max(1, server.room - max(others, headroom))}",
            )
        else:
            yield ok(subject, f"{room}; capacity is {self.capacity}")
        if 0 <= server.login_limit < self.capacity:
            yield problem(
                self._of("role limit"),
                f"{server.login} may have {server.login_limit} connections, capacity is "
                f"{self.capacity}",
                f"ALTER ROLE {server.login} CONNECTION LIMIT -1",
            )

    def _others(self, conn: Connection[Any]) -> dict[str, int]:
        """Connections that are not tenantpool's, by their ``application_name``."""
        mark = f"tenantpool/{self._settings.service.name}"
        ours = ["tenantpool", mark, _APPLICATION]
        return dict(conn.execute(_OTHERS, [ours, f"{mark} "]).fetchall())

    def _who_else(self, server: _Server, others: dict[str, int]) -> Check:
        subject = self._of("other users")
        count = sum(others.values())
        if not count:
            return ok(subject, "nobody else is connected")
        most = ", ".join(f"{name} {n}" for name, n in list(others.items())[:3])
        seen = f"{count} connections of others: {most}"
        if count > server.room - self.capacity:
            return warning(
                subject,
                f"{seen}; there is room for {max(0, server.room - self.capacity)} beside ours",
                f"lower databases.{self._name}.capacity, or let them go through tenantpool too",
            )
        return ok(subject, seen)

    # -- rights --------------------------------------------------------------------------------

    def _may_end(self, conn: Connection[Any], server: _Server) -> Check:
        subject = self._of("ending backends")
        if server.is_superuser:
            return ok(subject, f"{server.login} may end all")
        rows = conn.execute(_MAY_END, [list(self._logins())]).fetchall()
        beyond = [name for (name,) in rows]
        if beyond:
            return problem(
                subject,
                f"{server.login} may not end backends of {', '.join(beyond)}, so a lease of theirs "
                "cannot be cut",
                f"GRANT pg_signal_backend TO {server.login}",
            )
        return ok(subject, f"{server.login} may end those of every login role that is configured")

    def _logins(self) -> set[str]:
        """Login roles of listed tenants that are not the database's own."""
        specs = (self._settings.tenant(name) for name in self._settings.tenants)
        return {
            spec.pool.user
            for spec in specs
            if spec.pool.database == self._name and spec.pool.user is not None
        }

    # -- the rest ------------------------------------------------------------------------------

    def _clock(self, server: _Server, asked: float, answered: float) -> Check:
        subject = self._of("clock")
        apart = server.clock - (asked + answered) / 2
        seen = f"{apart:+.3f} s from ours, known to {(answered - asked) / 2:.3f} s"
        if abs(apart) > _CLOCKS_APART:
            remedy = "let both follow NTP: logs and times of overrides would not agree"
            return warning(subject, seen, remedy)
        return ok(subject, seen)

    def _encryption(self, conn: Connection[Any]) -> Check:
        subject, host = self._of("encryption"), conn.info.host
        is_local = host.startswith("/") or host in ("localhost", "127.0.0.1", "::1")
        if conn.pgconn.ssl_in_use:
            return ok(subject, "TLS; leases are direct, as others cannot be encrypted")
        if is_local:
            return ok(subject, "none, and the server is on this host")
        return warning(
            subject,
            f"none on the way to {host}",
            f"sslmode=verify-full in databases.{self._name}.conninfo, or a network of your own",
        )

    def _rules(self, conn: Connection[Any]) -> Iterator[Check]:
        """What is in ``pg_hba.conf``, if we may read it."""
        subject = self._of("pg_hba.conf")
        try:
            row = conn.execute(_RULES).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            yield ok(subject, "only superusers may read it")
            return
        assert row is not None
        wrong, trusting = row
        if wrong:
            remedy = "SELECT * FROM pg_hba_file_rules WHERE error IS NOT NULL says which"
            yield problem(subject, f"{wrong} lines in it are wrong", remedy)
        elif trusting:
            remedy = "scram-sha-256 instead of trust in those lines"
            yield warning(subject, f"{trusting} lines let other hosts in without proof", remedy)
        else:
            yield ok(subject, "nobody comes from other hosts without proof")

    def _settings_of(self, server: _Server) -> Iterator[Check]:
        if server.idle_session_timeout not in ("0", ""):
            yield warning(
                self._of("idle_session_timeout"),
                f"the server ends sessions that are idle for {server.idle_session_timeout}, pooled "
                "ones included",
                f"ALTER ROLE {server.login} SET idle_session_timeout = 0",
            )
