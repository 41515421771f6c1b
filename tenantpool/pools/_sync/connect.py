# Generated from ../_async/connect.py by tools/generate_sync.py: do not edit.
"""Connecting with libpq alone, in bounded time."""

from __future__ import annotations

import select
from collections.abc import Mapping
from time import monotonic
from typing import Any

from psycopg import OperationalError
from psycopg.conninfo import conninfo_attempts
from psycopg.errors import ConnectionTimeout
from psycopg.pq import ConnStatus, PGconn, PollingStatus, abc

from tenantpool.pools.watch import Sockets

from .answer import readable

_READING, _WRITING = PollingStatus.READING, PollingStatus.WRITING


def connect(conninfo: str, timeout: float, sockets: Sockets) -> abc.PGconn:
    """Connect; *sockets* takes hold of each socket before the server has heard of it.

    As psycopg's ``connect``, which would read and check the string once more. Blocks for at most
    *timeout* seconds. Raises psycopg.OperationalError.
    """
    deadline = monotonic() + timeout
    pgconn = PGconn.connect_start(conninfo.encode())
    try:
        # libpq's documentation has it begin like this.
        status: int = PollingStatus.FAILED if pgconn.status == ConnStatus.BAD else _WRITING
        while status in (_READING, _WRITING):
            sockets.add(pgconn.socket)
            ready = readable if status == _READING else _writable
            if not ready(pgconn.socket, deadline - monotonic()):
                raise ConnectionTimeout("connection timeout expired")
            status = pgconn.connect_poll()
        if status != PollingStatus.OK:
            raise OperationalError(f"connection failed: {pgconn.get_error_message()}")
    except BaseException:
        pgconn.finish()
        raise
    pgconn.nonblocking = 1
    return pgconn


def only_address(params: Mapping[str, str]) -> dict[str, Any] | None:
    """*params* as they are for the one address that they stand for; None if there are several.

    Blocks while a name is looked up. Raises psycopg.OperationalError if that fails.
    """
    host = params.get("host", "")
    if host.startswith("/") and "," not in host and "target_session_attrs" not in params:
        return {**params}
    attempts = conninfo_attempts(params)
    return attempts[0] if len(attempts) == 1 else None


def _writable(descriptor: int, timeout: float) -> bool:
    """Wait until something can be written; return whether that was within *timeout* seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(max(0.0, timeout) * 1000))
