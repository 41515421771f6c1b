"""A libpq connection that was never opened, to put in the place of one that has been taken away."""

from __future__ import annotations

from contextlib import suppress

from psycopg.pq.abc import PGconn


def closed_pgconn(like: PGconn) -> PGconn:
    """A closed connection of the same implementation as *like*: every use of it is an error."""
    blind = type(like).__new__(type(like))
    with suppress(AttributeError):  # the C implementation starts out closed and has no such field
        blind._pgconn_ptr = None  # type: ignore[attr-defined]
    return blind
