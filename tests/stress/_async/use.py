"""How the stress tests use a manager, in two versions."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from time import monotonic
from typing import Any

import psycopg
from psycopg import AsyncConnection

from tenantpool import AsyncManager
from tenantpool.errors import Refused

PATIENCE = 20.0
"""Seconds after which a test gives up."""


async def visit(manager: AsyncManager, tenant: str, statement: str = "select 1") -> None:
    """Run a statement in a block of its own."""
    async with manager.connection(tenant) as conn:
        await conn.execute(statement.encode())


async def hold(
    stack: AsyncExitStack, manager: AsyncManager, *tenants: str
) -> list[AsyncConnection[Any]]:
    """Lease a connection for each of *tenants* until the end of *stack*."""
    return [
        await stack.enter_async_context(manager.connection(tenant, timeout=PATIENCE))
        for tenant in tenants
    ]


async def lease_every_slot(manager: AsyncManager, *tenants: str, statement: str = "") -> None:
    """Nothing was lost: *tenants*, in turn, can hold the whole capacity at once.

    With a *statement*, which all of them run meanwhile, their connections work too.
    """
    capacity = manager.stats().databases["main"].capacity
    async with AsyncExitStack() as stack:
        turns = [tenants[n % len(tenants)] for n in range(capacity)]
        conns = await hold(stack, manager, *turns)
        assert manager.stats().databases["main"].in_use == capacity
        if statement:
            for conn in conns:
                await conn.execute(statement.encode())


async def use_every_slot(manager: AsyncManager, *tenants: str) -> None:
    """Lease every slot until all of them work: afterwards none is idle with a dead connection.

    A connection that ended while it was idle keeps its slot until somebody wants to use it.
    """
    end = monotonic() + PATIENCE
    while True:
        try:
            return await lease_every_slot(manager, *tenants, statement="select 1")
        except (psycopg.OperationalError, Refused):
            if monotonic() > end:
                raise
        await asyncio.sleep(0.01)


async def refusal(manager: AsyncManager, tenant: str, kind: type[Refused]) -> Refused:
    """Visit until it is refused for the reason of *kind*; what happens before does not matter."""
    end = monotonic() + PATIENCE
    while monotonic() < end:
        try:
            await visit(manager, tenant)
        except kind as error:
            return error
        except Exception as error:
            last: Exception | None = error
        else:
            last = None
        await asyncio.sleep(0.01)
    raise AssertionError(f"{tenant} was never refused with {kind.__name__}: {last!r}")


async def success(manager: AsyncManager, tenant: str) -> None:
    """Visit until it goes well."""
    end = monotonic() + PATIENCE
    while True:
        try:
            return await visit(manager, tenant)
        except Exception:
            if monotonic() > end:
                raise
        await asyncio.sleep(0.01)
