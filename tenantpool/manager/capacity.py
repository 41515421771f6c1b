"""How many connections a server has for us, where the operator leaves it to be found out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tenantpool.config import Settings
from tenantpool.config.roster import Roster
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


def reserved_of(settings: Settings, name: str, mark: str | None) -> int:
    """Connections of the database *name* that the manager keeps for itself."""
    source = settings.catalog_pool
    reads_catalog = source is not None and source.database == name
    return (ATTENDANT if mark else 0) + (READER if reads_catalog else 0)


def room_of(settings: Settings, name: str, mark: str | None, limit: int) -> int:
    """Connections for tenants on the database *name*; 0: not known.

    *limit* is what the server has for us, and for whoever else uses it; 0: it was not asked.
    """
    database = settings.databases[name]
    if database.capacity != "auto":
        return database.capacity - reserved_of(settings, name, mark)
    if not limit:
        return 0
    return max(1, limit - database.headroom - reserved_of(settings, name, mark))


def unkept(
    old: Roster, new: Roster, mark: str | None, known: Mapping[str, int]
) -> Iterator[ConfigError]:
    """Guarantees that *new* would not keep, as it gives more of them, or has less room.

    What was too much before can go on: a promise of which there is nothing new is nobody's fault
    who changes something else. *known*: what the servers have said, see ``room_of``.
    """
    for name in new.settings.databases:
        limit = known.get(name, 0)
        room = room_of(new.settings, name, mark, limit)
        if not room:
            continue
        is_new = name not in old.settings.databases
        if (
            is_new
            or new.promised(name) > old.promised(name)
            or room < room_of(old.settings, name, mark, limit)
        ):
            try:
                new.check_capacity(name, room)
            except ConfigError as error:
                yield error


def check_mark(mark: str) -> None:
    """Raises ValueError if *mark* can't be one."""
    if not _MARK.fullmatch(mark):
        raise ValueError(f"{mark!r} can't be a mark: 1 to 41 characters of ASCII, no blanks")


def check_room(settings: Settings, mark: str | None) -> None:
    """Raises ConfigError if a capacity has no room for the manager's own connections.

    One that is ``auto`` is checked when it has been found out.
    """
    for name, database in settings.databases.items():
        if database.capacity == "auto":
            continue
        room = room_of(settings, name, mark, 0)
        if room <= 0:
            place = f"databases.{name}.capacity"
            reserved = reserved_of(settings, name, mark)
            what = f"is taken up by what tenantpool keeps for itself, {reserved}"
            raise ConfigError(place, what, "raise it")
        settings.check_capacity(name, room)
