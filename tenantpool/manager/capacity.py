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

READER = 1
"""Connections that the reader of the catalog keeps, on the catalog's database."""

_MARK = re.compile(r"[\x21-\x7e]{1,41}")
"""With `` direct-`` and 14 digits behind, it must fit the 63 bytes of an ``application_name``."""


def capacity_of(database: Database) -> int:
    """The capacity to start with; 0 until the server has been asked."""
    return 0 if database.capacity == "auto" else database.capacity


def reserved_of(settings: Settings, name: str, mark: str | None) -> int:
    """Connections of the database *name* that the manager keeps for itself."""
    source = settings.catalog_pool
    reads_catalog = source is not None and source.database == name
    return (ATTENDANT if mark else 0) + (READER if reads_catalog else 0)


def check_mark(mark: str) -> None:
    """Raises ValueError if *mark* can't be one."""
    if not _MARK.fullmatch(mark):
        raise ValueError(f"{mark!r} can't be a mark: 1 to 41 characters of ASCII, no blanks")


def check_room(settings: Settings, mark: str | None) -> None:
    """Raises ConfigError if a capacity has no room for the manager's own connections.

    One that is ``auto`` is checked when it has been found out.
    """
    for name, database in settings.databases.items():
        capacity, reserved = capacity_of(database), reserved_of(settings, name, mark)
        if capacity and capacity <= reserved:
            place = f"databases.{name}.capacity"
            what = f"is taken up by what tenantpool keeps for itself, {reserved}"
            raise ConfigError(place, what, "raise it")
        if capacity and reserved:
            settings.check_capacity(name, capacity - reserved)
