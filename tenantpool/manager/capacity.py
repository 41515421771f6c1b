"""How many connections a server has for us, where the operator leaves it to be found out."""

from __future__ import annotations

from tenantpool.config import Database

QUERY = """
    SELECT sum(CASE name WHEN 'max_connections' THEN setting::int ELSE -setting::int END)::int
    FROM pg_catalog.pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')
"""
"""``max_connections`` less what the server reserves (``reserved_connections`` since version 16)."""


def capacity_of(database: Database) -> int:
    """The capacity to start with; 0 until the server has been asked."""
    return 0 if database.capacity == "auto" else database.capacity
