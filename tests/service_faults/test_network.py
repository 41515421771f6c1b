"""The network breaks, between worker and service or between service and PostgreSQL."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from tenantpool.embedded import HOST, EmbeddedPostgres
from tests.service_faults.conftest import Clerk, OpenPuppet, watched
from tests.service_faults.house import TOKEN, House
from tests.service_faults.puppet import BROKEN, Failed, Puppet
from tests.stress.crowd import WORKER
from tests.support.severer import Severer
from tests.support.wait import wait_until

MOST = 5
"""The cap of a tenant."""
KEPT = "insert into ledger values ('cut off')"


def works(worker: Puppet) -> bool:
    """Whether a lease works again."""
    try:
        worker.take("own_0", "new", timeout=5)
        worker.give_back("new")
    except Failed:
        return False
    return True


# -- between worker and service ------------------------------------------------------------------


@pytest.fixture
def to_grpc(house: House) -> Iterator[Severer]:
    with Severer(house.grpc_port) as severer:
        yield severer


@pytest.fixture
def to_gateway(house: House) -> Iterator[Severer]:
    """The way to the gateway that leases name."""
    with Severer(house.gateway_port) as severer:
        house.ask("advertise", severer.port)
        yield severer
        house.ask("advertise", house.gateway_port)


@pytest.mark.parametrize(
    ("how", "tasks"), [("sever", False), ("pause", True)], ids=["severed", "silent"]
)
def test_to_the_service(
    house: House, puppets: OpenPuppet, clerk: Clerk, to_grpc: Severer, how: str, tasks: bool
):
    """The session is lost; its leases, reached another way, are cut when its time is over."""
    neighbour = puppets()
    kept = neighbour.take("own_1")
    worker = puppets(f"{HOST}:{to_grpc.port}", tasks=tasks)
    pid = worker.take("own_0")
    worker.run("begin")
    worker.run(KEPT)

    getattr(to_grpc, how)()
    wait_until(lambda: pid not in clerk.pids(), what="the end of its backend")
    with pytest.raises(Failed, match=BROKEN):
        worker.run("commit")
    with pytest.raises(Failed, match="LeaseEnded"):
        worker.give_back()
    to_grpc.heal()
    wait_until(lambda: works(worker), 20, what="leases after the outage")
    assert clerk.written("cut off") == 0
    assert neighbour.run("select pg_backend_pid()") == kept


def test_to_the_gateway(house: House, puppets: OpenPuppet, clerk: Clerk, to_gateway: Severer):
    """What went through it is broken at once, and its slot free; the session goes on."""
    worker = puppets(house.tcp)
    pid = worker.take("own_0")
    worker.run("begin")
    worker.run(KEPT)
    assert to_gateway.connections == 1

    to_gateway.sever()
    wait_until(lambda: pid not in clerk.pids(), what="the end of its backend")
    with pytest.raises(Failed, match=BROKEN):
        worker.run("commit")
    with pytest.raises(Failed, match="ServiceUnavailable"):
        worker.take("own_0", "other", timeout=1)
    to_gateway.heal()
    worker.take("own_0", "new", timeout=10)
    assert worker.do("client.stats().sessions") == 1
    assert clerk.written("cut off") == 0


def test_an_answer_that_is_lost(house: House, puppets: OpenPuppet, to_grpc: Severer):
    """A repeat with the same request_id gets the same lease; if that is never used, it ends."""
    rich, worker = puppets(), puppets(f"{HOST}:{to_grpc.port}")
    for number in range(MOST):
        rich.take("own_0", f"conn_{number}")
    worker.do("from tests.service_faults.unary import *; calls = Calls(target)")
    worker.start("calls.acquire('own_0', 'mine', 1.0)")
    wait_until(lambda: house.books()["waiting"] == 1)
    to_grpc.pause()
    rich.give_back("conn_0")
    wait_until(lambda: house.books()["waiting"] == 0)
    with pytest.raises(Failed, match="DeadlineExceeded"):
        worker.finish()

    to_grpc.heal()
    assert worker.do("calls.acquire('own_0', 'mine', 5)")["ticket"]
    assert house.books()["leases"] == MOST, "there is no second one"
    rich.take("own_0", "conn_0", timeout=10)
    with pytest.raises(Failed, match="LeaseEnded"):
        worker.do("calls.acquire('own_0', 'mine', 5)")


# -- between service and PostgreSQL --------------------------------------------------------------


@pytest.fixture
def to_server(server: EmbeddedPostgres) -> Iterator[Severer]:
    with Severer(server.port) as severer:
        yield severer


@pytest.fixture
def far_house(
    server: EmbeddedPostgres, one_house: House, to_server: Severer, clerk: Clerk
) -> Iterator[House]:
    """A service whose way to the server can be cut."""
    one_house.stop()
    conninfo = make_conninfo(server.dsn(user=WORKER, host=HOST), port=to_server.port)
    with tempfile.TemporaryDirectory(prefix="tp-") as folder, ExitStack() as stack:
        stack.callback(one_house.start)
        house = stack.enter_context(House(Path(folder), server, conninfo=conninfo))
        stack.enter_context(watched(house, server, clerk))
        yield house


@pytest.mark.parametrize("how", ["sever", "pause"])
def test_to_the_server(
    far_house: House, clerk: Clerk, to_server: Severer, how: str, tmp_path: Path
):
    stop = tmp_path / "stop"
    with ExitStack() as stack:
        holders = [
            stack.enter_context(Puppet(far_house.unix, token=TOKEN, delivery=delivery))
            for delivery in ("hand-off", "gateway")
        ]
        for holder in holders:
            holder.take("own_0")
            holder.run("begin")
            holder.run(KEPT)
        load = stack.enter_context(Puppet(far_house.unix, token=TOKEN))
        load.start(f"crowd_in(client, ['own_1', 'sharing_0'], {str(stop)!r}, 'cut', timeout=5)")
        wait_until(lambda: far_house.books()["lent"] > 10)

        getattr(to_server, how)()
        if how == "pause":
            for holder in holders:
                holder.kill()
            wait_until(lambda: far_house.books()["leases"] <= 2, what="their end")
        to_server.heal()
        stop.touch()
        outcomes = load.finish()
        assert outcomes["done"] > 0, outcomes
        wait_until(lambda: works(load), 20, what="leases after the outage")
        for holder in holders if how == "sever" else []:
            with pytest.raises(Failed, match=BROKEN):
                holder.run("commit")
            holder.give_back()
    assert clerk.written("cut off") == 0
