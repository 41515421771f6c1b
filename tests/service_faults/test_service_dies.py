"""The service is killed: whatever it left on the server is ended before it lends again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import LENDABLE, House
from tests.service_faults.puppet import BROKEN, Failed
from tests.support.wait import wait_until

KINDS: list[dict[str, Any]] = [
    {"delivery": "hand-off"},
    {"delivery": "hand-off", "tasks": True},
    {"delivery": "gateway"},
    {"delivery": "direct"},
]
AWAY = "insert into ledger values ('from before the crash')"


def test_leases_from_before_are_over_and_workers_get_new_ones(
    house: House, puppets: OpenPuppet, clerk: Clerk
):
    workers = [puppets(**kind) for kind in KINDS]
    for worker in workers:
        worker.take("own_0", "old")
        worker.run("begin", "old")
        worker.run(AWAY, "old")

    house.kill()
    for worker in workers:
        wait = "await " if worker.tasks else ""
        worker.start(f"new = {wait}client.acquire('own_0', timeout=30)")
    house.start()
    for worker in workers:
        worker.finish()
        assert worker.run("select 1", "new") == 1
        with pytest.raises(Failed, match="LeaseEnded"):
            worker.give_back("old")
        worker.give_back("new")
    assert clerk.written("from before the crash") == 0


@pytest.mark.parametrize("delivery", ["hand-off", "direct"])
def test_a_stopped_worker_has_its_backends_ended_before_anything_is_lent(
    house: House, puppets: OpenPuppet, clerk: Clerk, delivery: str
):
    """It cannot hear that the service is gone, and nothing but the server can end its sessions."""
    worker = puppets(delivery=delivery)
    pids = {worker.take(f"own_{n % 4}", f"conn_{n}") for n in range(LENDABLE)}
    worker.run("begin", "conn_0")
    worker.run(AWAY, "conn_0")
    if delivery == "hand-off":
        worker.run("set application_name = 'mine'", "conn_1")
    worker.stop()

    house.kill()
    assert clerk.alive(pids) == pids
    house.start()
    assert not clerk.alive(pids)
    assert house.books()["capacity"] == LENDABLE

    worker.start("conn_0.commit()")
    worker.go_on()
    with pytest.raises(Failed, match=BROKEN):
        worker.finish()
    with pytest.raises(Failed, match="LeaseEnded"):
        worker.give_back("conn_0")
    assert clerk.written("from before the crash") == 0


def test_under_load_again_and_again(
    house: House, puppets: OpenPuppet, clerk: Clerk, tmp_path: Path
):
    """All go on within their patience; the limit is kept all the time."""
    tenants = ["own_0", "own_1", "own_2", "sharing_0"]
    crew = [puppets(tasks=False, linger=0.1), puppets(delivery="gateway"), puppets(tasks=True)]
    stop = tmp_path / "stop"
    for number, worker in enumerate(crew):
        call = "await crowd_in_tasks" if worker.tasks else "crowd_in"
        worker.start(f"{call}(client, {tenants}, {str(stop)!r}, 'load {number}', timeout=20)")
    for _ in range(2):
        wait_until(lambda: house.books()["lent"] > 20)
        house.kill()
        house.start()
    wait_until(lambda: house.books()["lent"] > 20)
    stop.touch()
    for worker in crew:
        outcomes = worker.finish()
        assert outcomes.pop("done"), "nobody was served"
        allowed = {"LeaseEnded", "OperationalError", "AdminShutdown", "Oops", "cancelled"}
        assert set(outcomes) <= allowed, outcomes
    assert any(worker.do("client.stats().sessions") > 1 for worker in crew)
