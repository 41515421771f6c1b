"""A cancel reaches the statement that it is meant for, or none."""

from __future__ import annotations

from functools import partial

import pytest

from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import House
from tests.support.wait import wait_until

SLEEP = "pgconn.send_query(b'select pg_sleep(600)')"
SLEEPS = "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s"


@pytest.mark.parametrize("delivery", ["hand-off", "gateway"])
def test_only_its_own_statement(house: House, puppets: OpenPuppet, clerk: Clerk, delivery: str):
    """Whatever connection its libpq object has got by now."""
    worker, other = puppets(delivery=delivery), puppets(delivery=delivery)
    for _ in range(2):
        worker.take("own_0")
        worker.give_back()
    pids = {number: worker.take("own_0", f"conn_{number}") for number in range(3)}
    theirs = other.take("own_0")
    for number in pids:
        worker.do(f"conn_{number}.{SLEEP}")
    other.do(f"conn.{SLEEP}")
    for pid in (*pids.values(), theirs):
        wait_until(partial(clerk.ask, SLEEPS, pid))

    worker.do("conn_1.cancel_safe(timeout=10)")
    assert "canceling" in worker.do("conn_1.pgconn.get_result().error_message.decode()")
    assert all(clerk.ask(SLEEPS, pid) for pid in (pids[0], pids[2], theirs))
    for number in (0, 2):
        worker.do(f"conn_{number}.cancel_safe(timeout=10)")
    other.do("conn.cancel_safe(timeout=10)")


LATE = """
import threading
def late(count):
    for _ in range(count):
        conn = client.acquire('own_0', timeout=30)
        conn.execute('select 1')
        cancel = conn.pgconn.cancel_conn()
        thread = threading.Thread(target=cancel.blocking)
        thread.start()
        conn.close()
        thread.join()
        cancel.finish()
"""
"""Gives a connection back while a cancel is on its way to it."""

VICTIM = """
def endure(seconds):
    from time import monotonic
    end, count = monotonic() + seconds, 0
    while monotonic() < end:
        with client.connection('own_0', timeout=30) as conn:
            conn.execute('select pg_sleep(0.005)')
        count += 1
    return count
"""


@pytest.mark.parametrize("delivery", ["hand-off", "gateway"])
def test_one_at_the_moment_of_the_return_never_hits_the_next_holder(
    house: House, puppets: OpenPuppet, clerk: Clerk, delivery: str
):
    keeper, canceller, victim = puppets(), puppets(delivery=delivery), puppets(delivery=delivery)
    for number in range(4):
        keeper.take("own_0", f"conn_{number}")  # one is left for the two
    canceller.do(LATE)
    victim.do(VICTIM)
    victim.start("endure(1.0)")
    canceller.do("late(30)")
    assert victim.finish() > 5
