"""Reading an answer with libpq alone, in bounded time."""

from __future__ import annotations

import asyncio
import select
from time import monotonic

from psycopg import OperationalError
from psycopg.pq.abc import PGconn, PGresult

from tenantpool.concurrency import AsyncSignal


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
