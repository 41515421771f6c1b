"""How many connections a server has for us, where the operator leaves it to be found out."""

from __future__ import annotations

import re

from tenantpool.config import Database, Settings
from tenantpool.errors import ConfigError

QUERY = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END)::int
    FROM pg_catalog.pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""
"""``max_connections`` less what the server reserves (``reserved_connections`` since version 16)."""

ATTENDANT = 1
"""Connections that a manager with a mark keeps for its attendant."""

_MARK = re.compile(r"[\x21-\x7e]{1,41}")
"""With `` direct-`` and 14 digits behind, it must fit the 63 bytes of an ``application_name``."""


def capacity_of(database: Database) -> int:
    """The capacity to start with; 0 until the server has been asked."""
    return 0 if database.capacity == "auto" else database.capacity


def check_mark(settings: Settings, mark: str) -> None:
    """Raises ValueError if *mark* can't be one; ConfigError if there is no room for an attendant.

    A capacity that is ``auto`` is checked when it has been found out.
    """
    if not _MARK.fullmatch(mark):
        raise ValueError(f"{mark!r} can't be a mark: 1 to 41 characters of ASCII, no blanks")
    for name, database in settings.databases.items():
        capacity = capacity_of(database)
        if capacity == ATTENDANT:
            place = f"databases.{name}.capacity"
            raise ConfigError(place, "is taken up by the attendant's connection", "raise it")
        if capacity:
            settings.check_capacity(name, capacity - ATTENDANT)
