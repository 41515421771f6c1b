# Generated from ../_async/wipe.py by tools/generate_sync.py: do not edit.
"""Wiping a session that other processes may have spoken to."""

from __future__ import annotations

import os
from time import monotonic

from psycopg import OperationalError
from psycopg.pq import DiagnosticField, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from tenantpool.pools.session import UNDO

from .answer import answer

_QUESTION = f"{UNDO}; SELECT '%b'".encode()
_RESULTS = UNDO.count(";") + 2
_CANCELED = b"57014"
_IDLE = TransactionStatus.IDLE


def wipe(pgconn: PGconn, timeout: float) -> None:
    """Leave nothing of a session but what its connection was opened with, and prove it.

    Somebody else may have spoken on the socket, of which libpq knows nothing. So the question
    ends with a number made for it, and the answer must be the answer to that and nothing else:
    what a former holder had under way would come before it, or keep it from coming at all.
    libpq hears of the settings that change back; notifications are dropped.

    Blocks for a round trip, for at most *timeout* seconds. Raises psycopg.OperationalError, and
    then the connection is of no use any more.
    """
    deadline = monotonic() + timeout
    if not (_ask(pgconn, deadline) or _ask(pgconn, deadline)):
        raise OperationalError("the session could not be wiped: cancel came after cancel")


def _ask(pgconn: PGconn, deadline: float) -> bool:
    """Wipe. Return False if that was cancelled: by one who meant the holder, and was late."""
    nonce = os.urandom(8).hex().encode()
    pgconn.send_query(_QUESTION % nonce)
    results = answer(pgconn, deadline, _RESULTS)
    while pgconn.notifies():
        pass
    if pgconn.transaction_status == _IDLE:
        if len(results) == _RESULTS and results[-1].get_value(0, 0) == nonce:
            return True
        if results and results[-1].error_field(DiagnosticField.SQLSTATE) == _CANCELED:
            return False
    raise OperationalError(f"the session could not be wiped: {_complaint(results)}")


def _complaint(results: list[PGresult]) -> str:
    error = results[-1].error_message.decode("utf-8", "replace").strip() if results else ""
    return error or "something else was under way"
