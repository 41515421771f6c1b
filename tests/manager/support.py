"""What the tests of pools and manager share: settings, and what the server says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tenantpool import Settings
from tenantpool.embedded import EmbeddedPostgres

APPLICATION = "tenantpool"

BACKENDS = """
select pid from pg_stat_activity
where backend_type = 'client backend' and application_name = %s and datname = %s order by 1
"""

Tenants = Mapping[str, Mapping[str, Any]]


def make_settings(
    server: EmbeddedPostgres,
    tenants: Tenants,
    *,
    tier: Mapping[str, Any] | None = None,
    sections: Mapping[str, Any] | None = None,
    **database: Any,
) -> Settings:
    """Settings of one database ``main``, whose tenants are all listed and of tier ``basic``."""
    values: dict[str, Any] = {
        "databases": {"main": {"conninfo": server.dsn(), "capacity": 8, **database}},
        "tiers": {"basic": {"cap": 8, "min_size": 0, **(tier or {})}},
        "tenants": tenants,
        "template": {"enabled": False},
        "sweep_interval": 0.05,
        "close_grace": 1.0,
    }
    return Settings(**(values | dict(sections or {})))


def shared(dbname: str, *names: str) -> Tenants:
    """Tenants that share the pool of *dbname*, each told apart by its setting ``app.tenant``."""
    return {name: {"dbname": dbname, "settings": {"app.tenant": name}} for name in names}


def backends(server: EmbeddedPostgres, dbname: str) -> list[int]:
    """The process ids of the manager's backends in *dbname*."""
    return [pid for (pid,) in server.execute(BACKENDS, [APPLICATION, dbname])]


def kill(server: EmbeddedPostgres, *pids: int) -> None:
    """End backends, and wait until they are gone."""
    server.execute("select pg_terminate_backend(pid, 5000) from unnest(%s) pid", [list(pids)])


class StatementLog:
    """The statements that one backend was sent, from now on; its session must log them all.

    One entry is one message of the client, so one round trip.
    """

    OPTIONS = "-c log_statement=all"

    def __init__(self, server: EmbeddedPostgres, pid: int) -> None:
        self._path = server.log
        self._start = server.log.stat().st_size
        self._entry = re.compile(rf"\[{pid}\] LOG:  (?:statement|execute [^:]*): (.*)")

    def __repr__(self) -> str:
        return f"<StatementLog {self.statements()}>"

    def statements(self) -> list[str]:
        """What was sent so far."""
        with self._path.open(errors="replace") as log:
            log.seek(self._start)
            return self._entry.findall(log.read())
