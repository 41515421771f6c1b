"""Reading an answer with libpq alone, in bounded time."""

from __future__ import annotations

import asyncio
import select
from time import monotonic

from psycopg import OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from tenantpool.concurrency import AsyncSignal

Row = tuple[str | None, ...]


async def ask(pgconn: PGconn, deadline: float, query: str, *values: str | None) -> list[Row]:
    """Run one statement with the *values* of ``$1`` and so on; return its rows, as text.

    Blocks for a round trip, until *deadline* (of ``monotonic``) at the latest. Raises
    psycopg.Error.
    """
    params = [None if value is None else value.encode() for value in values]
    pgconn.send_query_params(query.encode(), params)
    (result,) = await answer(pgconn, deadline, 1)
    if result.status != ExecStatus.TUPLES_OK:
        raise error_from_result(result)
    cells = range(result.nfields)
    return [
        tuple([_text(result.get_value(row, n)) for n in cells]) for row in range(result.ntuples)
    ]


async def answer(pgconn: PGconn, deadline: float, most: int) -> list[PGresult]:
    """The results of what was sent, until the server is ready again; or one more than *most*.

    Blocks until *deadline* (of ``monotonic``) at the latest. Raises psycopg.OperationalError if
    the connection breaks, or is of no use as there was no answer in time.
    """
    results: list[PGresult] = []
    while len(results) <= most:  # a COPY would never end
        while pgconn.is_busy():
            if not await readable(pgconn.socket, deadline - monotonic()):
                raise OperationalError("no answer in time")
            pgconn.consume_input()  # sends, too, what may be left of the question
        if (result := pgconn.get_result()) is None:
            break
        results.append(result)
    return results


async def readable(descriptor: int, timeout: float) -> bool:
    """Wait until there is something to read; return whether that was within *timeout* seconds."""
    if True:  # ASYNC
        signal = AsyncSignal()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, signal.set)
        try:
            return await signal.wait(timeout)
        finally:
            loop.remove_reader(descriptor)
    else:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout) * 1000))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
