"""The SQL that gives a shared connection to another tenant: undo the last session, apply the next.

It is one string and so one round trip. ``DISCARD ALL`` may not stand in a string with others, so
its parts do, as PostgreSQL's documentation lists them. They come in an order in which the former
tenant's role cannot stop them.
"""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

UNDO = (
    "CLOSE ALL; "
    "SET SESSION AUTHORIZATION DEFAULT; "
    "RESET ROLE; "
    "RESET ALL; "
    "DEALLOCATE ALL; "
    "UNLISTEN *; "
    "SELECT pg_catalog.pg_advisory_unlock_all(); "
    "DISCARD PLANS; "
    "DISCARD TEMP; "
    "DISCARD SEQUENCES"
)
"""Leaves nothing of a session but what its connection was opened with."""


def apply(session: Iterable[tuple[str, str]]) -> str:
    """The SQL that applies *session*, setting by setting; empty if there is none.

    Names and values are quoted as literals, whatever they contain.
    """
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, false)").format(name, value)
        for name, value in session
    ]
    return "SELECT " + sql.SQL(", ").join(calls).as_string() if calls else ""
