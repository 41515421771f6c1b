"""What a server reports of a session's settings, unasked: ParameterStatus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from psycopg.pq.abc import PGconn

REPORTED = (
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "default_transaction_read_only",
    "in_hot_standby",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
    "scram_iterations",
    "search_path",
)
"""All that PostgreSQL up to version 18 reports (``search_path`` since 18); libpq has no list."""

_NAMES = tuple(name.encode() for name in REPORTED)


def parameters_of(pgconn: PGconn) -> Mapping[str, str]:
    """What libpq has heard of the session's settings. Does not block.

    Bytes that are not UTF-8 become surrogate escapes, and turn back in the same way.
    """
    status = pgconn.parameter_status
    return _interned(tuple([status(name) for name in _NAMES]))


@lru_cache(maxsize=4096)
def _interned(values: tuple[bytes | None, ...]) -> Mapping[str, str]:
    found = zip(REPORTED, values, strict=True)
    return MappingProxyType(
        {
            name: value.decode("utf-8", "surrogateescape")
            for name, value in found
            if value is not None
        }
    )
