"""Workers that are killed: what they held is ended, lost to nobody, and no neighbour notices."""

from __future__ import annotations

import pytest

from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import House
from tests.service_faults.puppet import Puppet
from tests.support.wait import wait_until

COPY = """
copying.pgconn.exec_(b"copy ledger from stdin")
copying.pgconn.put_copy_data(b"copied\\n")
copying.pgconn.flush()
"""
STATEMENT = "running.pgconn.send_query(b'select pg_sleep(600)'); running.pgconn.flush()"

HANG = """
import {module} as module, time
def hang(*_):
    print('"hangs"', flush=True)
    time.sleep(600)
module.{name} = hang
"""
"""Let the worker stop in the middle of getting a connection."""


def get_busy(worker: Puppet) -> set[int]:
    """Let *worker* be in a COPY, in a transaction and in a statement; return the backends."""
    pids = {worker.take("own_0", name) for name in ("copying", "writing", "running")}
    worker.do(COPY)
    worker.run("begin", "writing")
    worker.run("insert into ledger values ('uncommitted')", "writing")
    worker.do(STATEMENT)
    return pids


@pytest.mark.parametrize("delivery", ["hand-off", "gateway", "direct"])
def test_in_a_copy_in_a_transaction_and_in_a_statement(
    house: House, puppets: OpenPuppet, clerk: Clerk, delivery: str
):
    neighbour = puppets()
    other = neighbour.take("own_0")
    worker = puppets(delivery=delivery)
    pids = get_busy(worker)
    wait_until(lambda: pids < clerk.pids())

    worker.kill()
    wait_until(lambda: not pids & clerk.pids(), what="the end of its backends")
    assert clerk.written("copied") == clerk.written("uncommitted") == 0
    assert neighbour.run("select pg_backend_pid()") == other
    neighbour.give_back()
    wait_until(lambda: house.books()["leases"] == 0)


HALFWAY = {
    "granted": ("tenantpool.client._sync.delivery", "_connect_to_gateway"),
    "connected": ("tenantpool.client._sync.delivery", "_hand_over"),
    "handed over": ("tenantpool.client.husk", "Husk.put"),
    "to fill a husk": ("tenantpool.client.husk", "Husk.put"),
}


def test_in_a_hand_off(house: House, puppets: OpenPuppet, clerk: Clerk):
    """Between the grant and the adoption of its socket, wherever that is."""
    workers = []
    for where, (module, name) in HALFWAY.items():
        worker = puppets()
        if where == "to fill a husk":
            worker.take("own_1")
            worker.give_back()
            assert worker.do("client.stats().husks") == 1
        worker.do(HANG.format(module=module, name=name))
        worker.start("client.acquire('own_1')")
        workers.append(worker)
    wait_until(lambda: house.books()["leases"] == len(workers))
    for worker in workers:
        worker.hangs()

    for worker in workers:
        worker.kill()
    wait_until(lambda: house.books()["leases"] == 0)


def test_while_it_waits(house: House, puppets: OpenPuppet):
    """Nobody is lent to who is dead."""
    rich, poor = puppets(), puppets()
    for number in range(5):
        rich.take("own_0", f"conn_{number}")
    poor.start("client.acquire('own_0', timeout=60)")
    wait_until(lambda: house.books()["waiting"] == 1)
    poor.kill()
    wait_until(lambda: house.books()["waiting"] == 0)
    rich.give_back("conn_0")
    rich.take("own_0", "conn_0", timeout=5)


AT_ONCE = """
from tenantpool.client.frames import pack
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest
from tenantpool.v1.session_pb2 import Cancel, SessionRequest
client.open()
acquire = SessionRequest(sequence=900, acquire=AcquireLeaseRequest(tenant='own_0'))
cancel = SessionRequest(sequence=901, cancel=Cancel(sequence=900))
client._link.session._lane._sock.send(pack(acquire) + pack(cancel))
"""


def test_one_that_takes_its_request_back_at_once(house: House, puppets: OpenPuppet):
    """Nothing is left of the request, and nothing is lent for it later."""
    rich, poor = puppets(), puppets()
    for number in range(5):
        rich.take("own_0", f"conn_{number}")
    lent = house.books()["lent"]
    poor.do(AT_ONCE)
    poor.take("own_1")
    poor.give_back()
    wait_until(lambda: house.books()["waiting"] == 0, what="the end of the request")
    rich.give_back("conn_0")
    rich.take("own_0", "conn_0", timeout=5)
    assert house.books()["lent"] == lent + 2
