"""What workers do with a service, over and over, while it is disturbed."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg

from tenantpool.errors import TenantpoolError
from tests.support.dice import Dice

_OUTAGE = (TenantpoolError, psycopg.OperationalError)


class Oops(Exception):
    """Raised in a block."""


def crowd_in(
    client: Any, tenants: list[str], stop: str, seed: str, threads: int = 2, **wish: Any
) -> dict[str, int]:
    """Lease again and again in *threads* threads, until there is a file *stop*.

    Return how often that ended in which way.
    """
    outcomes: Counter[str] = Counter()
    lock = threading.Lock()

    def run(number: int) -> None:
        mine = _visits(client, tenants, stop, Dice(f"{seed} {number}"), wish)
        with lock:
            outcomes.update(mine)

    crew = [threading.Thread(target=run, args=[number]) for number in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return dict(outcomes)


def _visits(
    client: Any, tenants: list[str], stop: str, dice: Dice, wish: dict[str, Any]
) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    while not os.path.exists(stop):
        try:
            with client.connection(dice.choice(tenants), **wish) as conn:
                dice.choice(HABITS)(conn)
        except Oops:
            outcomes["Oops"] += 1
        except _OUTAGE as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["done"] += 1
    return outcomes


async def crowd_in_tasks(
    client: Any, tenants: list[str], stop: str, seed: str, tasks: int = 3, **wish: Any
) -> dict[str, int]:
    """As ``crowd_in``, in tasks; some of them are cancelled now and then."""
    outcomes: Counter[str] = Counter()

    async def visit(dice: Dice) -> None:
        async with client.connection(dice.choice(tenants), **wish) as conn:
            await conn.execute(dice.choice(STATEMENTS))

    async def run(number: int) -> None:
        dice = Dice(f"{seed} {number}")
        while not os.path.exists(stop):
            patience = dice.choice([30.0, 30.0, 30.0, 0.01])
            try:
                await asyncio.wait_for(visit(dice), patience)
            except TimeoutError:
                outcomes["cancelled"] += 1
            except _OUTAGE as error:
                outcomes[type(error).__name__] += 1
            else:
                outcomes["done"] += 1

    await asyncio.gather(*[run(number) for number in range(tasks)])
    return dict(outcomes)


def crowd_in_by_calls(
    target: str, port: int, tenants: list[str], stop: str, seed: str
) -> dict[str, int]:
    """As ``crowd_in``, by unary calls, of which some answers are lost, and any driver."""
    from tests.service_faults.unary import Calls, DeadlineExceeded

    outcomes: Counter[str] = Counter()
    dice = Dice(seed)
    calls = Calls(target)
    number = 0
    while not os.path.exists(stop):
        number += 1
        tenant, request_id = dice.choice(tenants), f"{seed} {number}"
        try:
            if dice.chance(0.3):
                # Nobody hears the answer.
                calls.acquire(tenant, request_id, 0.002)
            lease = calls.acquire(tenant, request_id, 5)
            with psycopg.connect(
                host="127.0.0.1",
                port=port,
                user=lease["user"],
                password=lease["ticket"],
                dbname=lease["dbname"],
                autocommit=True,
            ) as conn:
                dice.choice(HABITS)(conn)
            if dice.chance(0.5):
                calls.release(lease["lease_id"])
        except DeadlineExceeded:
            outcomes["lost"] += 1
        except Oops:
            outcomes["Oops"] += 1
        except _OUTAGE as error:
            outcomes[type(error).__name__] += 1
        else:
            outcomes["done"] += 1
    calls.close()
    return dict(outcomes)


STATEMENTS = ["select 1", "select pg_sleep(0.01)", "select count(*) from generate_series(1, 999)"]


def look(conn: Any) -> None:
    conn.execute("select 1")


def linger(conn: Any) -> None:
    conn.execute("select pg_sleep(0.01)")


def make_a_mess(conn: Any) -> None:
    conn.execute("create temp table if not exists scratch (id int)")
    conn.execute("set search_path = nowhere; listen gossip")


def raise_in_a_transaction(conn: Any) -> None:
    with conn.transaction():
        conn.execute("select 1")
        raise Oops


def leave_a_transaction_open(conn: Any) -> None:
    conn.execute("begin")


def leave_a_statement_running(conn: Any) -> None:
    conn.pgconn.send_query(b"select pg_sleep(0.05)")


def cancel_it(conn: Any) -> None:
    conn.pgconn.send_query(b"select pg_sleep(0.02)")
    conn.cancel_safe(timeout=5)
    while conn.pgconn.get_result():
        pass


def die(conn: Any) -> None:
    conn.execute("select pg_terminate_backend(pg_backend_pid())")


def close_it(conn: Any) -> None:
    conn.close()


HABITS: list[Callable[[Any], None]] = [
    *[look, linger] * 4,
    make_a_mess,
    raise_in_a_transaction,
    leave_a_transaction_open,
    leave_a_statement_running,
    cancel_it,
    die,
    close_it,
]
