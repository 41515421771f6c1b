"""Asks the server for the plan of a slow read."""

from __future__ import annotations

import json
import logging
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import tuple_row

from tenantpool.insight.options import Options
from tenantpool.insight.plan import Remark, read_plan
from tenantpool.insight.watch import Slow
from tenantpool.journal import report

_GENERIC_PLAN_SINCE = 160000
_GENERIC = " (a generic plan: parameters are not kept)"


async def explain(conn: AsyncConnection[Any], slow: Slow, options: Options) -> list[Remark]:
    """What is wrong with the plan of a *slow* read, on a connection in no transaction.

    With parameters it is the generic plan, which PostgreSQL has from version 16 on. The statement
    itself is run only if the options say so, and it had no parameters. Blocks for three round
    trips, and for at most ``explain_timeout`` seconds of the server. Never raises for what the
    database says: a statement that can't be explained is no problem of the holder's.
    """
    if slow.has_params and conn.info.server_version < _GENERIC_PLAN_SINCE:
        return []
    try:
        document = await _ask(conn, slow, options)
    except psycopg.Error as error:
        # Its text may quote the statement.
        report(logging.DEBUG, "explain failed", error=type(error).__name__, state=error.sqlstate)
        return []
    remarks = read_plan(document, slow.rows)
    if slow.has_params:
        return [Remark(what + _GENERIC, fix) for what, fix in remarks]
    return remarks


async def _ask(conn: AsyncConnection[Any], slow: Slow, options: Options) -> Any:
    """EXPLAIN in a read-only transaction of its own, which is rolled back."""
    autocommit = conn.autocommit
    limit = max(1, int(1000 * options.explain_timeout))
    await conn.set_autocommit(True)
    try:
        cursor = AsyncCursor(conn, row_factory=tuple_row)
        await cursor.execute(
            f"begin read only; set local statement_timeout = {limit};"
            f" set local lock_timeout = {limit}"
        )
        # What had parameters went by the extended protocol, so it is known to be one statement.
        # The rest goes by it now (binary), and is refused if it is more than one.
        how = _options(slow, options)
        is_extended = not slow.has_params
        await cursor.execute(how + slow.sent, prepare=False, binary=is_extended)
        assert cursor.pgresult is not None
        return json.loads(cursor.pgresult.get_value(0, 0) or b"")
    finally:
        if not conn.closed:
            await conn.rollback()
            await conn.set_autocommit(autocommit)


def _options(slow: Slow, options: Options) -> bytes:
    if slow.has_params:
        return b"explain (format json, generic_plan) "
    if options.explain_analyze:
        return b"explain (format json, analyze, timing off) "
    return b"explain (format json) "
