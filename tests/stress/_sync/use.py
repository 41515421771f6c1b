# Generated from ../_async/use.py by tools/generate_sync.py: do not edit.
"""How the stress tests use a manager, in two versions."""

from __future__ import annotations

import time
from contextlib import ExitStack
from time import monotonic
from typing import Any

import psycopg
from psycopg import Connection

from tenantpool import Manager
from tenantpool.errors import Refused

PATIENCE = 20.0
"""Seconds after which a test gives up."""


def visit(manager: Manager, tenant: str, statement: str = "select 1") -> None:
    """Run a statement in a block of its own."""
    with manager.connection(tenant) as conn:
        conn.execute(statement.encode())


def hold(stack: ExitStack, manager: Manager, *tenants: str) -> list[Connection[Any]]:
    """Lease a connection for each of *tenants* until the end of *stack*."""
    return [stack.enter_context(manager.connection(tenant, timeout=PATIENCE)) for tenant in tenants]


def lease_every_slot(manager: Manager, *tenants: str, statement: str = "") -> None:
    """Nothing was lost: *tenants*, in turn, can hold the whole capacity at once.

    With a *statement*, which all of them run meanwhile, their connections work too.
    """
    capacity = manager.stats().databases["main"].capacity
    with ExitStack() as stack:
        turns = [tenants[n % len(tenants)] for n in range(capacity)]
        conns = hold(stack, manager, *turns)
        assert manager.stats().databases["main"].in_use == capacity
        if statement:
            for conn in conns:
                conn.execute(statement.encode())


def use_every_slot(manager: Manager, *tenants: str) -> None:
    """Lease every slot until all of them work: afterwards none is idle with a dead connection.

    A connection that ended while it was idle keeps its slot until somebody wants to use it.
    """
    end = monotonic() + PATIENCE
    while True:
        try:
            return lease_every_slot(manager, *tenants, statement="select 1")
        except (psycopg.OperationalError, Refused):
            if monotonic() > end:
                raise
        time.sleep(0.01)


def refusal(manager: Manager, tenant: str, kind: type[Refused]) -> Refused:
    """Visit until it is refused for the reason of *kind*; what happens before does not matter."""
    end = monotonic() + PATIENCE
    while monotonic() < end:
        try:
            visit(manager, tenant)
        except kind as error:
            return error
        except Exception as error:
            last: Exception | None = error
        else:
            last = None
        time.sleep(0.01)
    raise AssertionError(f"{tenant} was never refused with {kind.__name__}: {last!r}")


def success(manager: Manager, tenant: str) -> None:
    """Visit until it goes well."""
    end = monotonic() + PATIENCE
    while True:
        try:
            return visit(manager, tenant)
        except Exception:
            if monotonic() > end:
                raise
        time.sleep(0.01)
