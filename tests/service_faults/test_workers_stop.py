"""Workers that are stopped for longer than they may be silent: fenced off before anybody is lent
what was theirs."""

from __future__ import annotations

import pytest

from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import LENDABLE, House
from tests.service_faults.puppet import BROKEN, Failed
from tests.support.wait import wait_until

BACKENDS = """
    select count(*) from pg_stat_activity
    where application_name ~ '^tenantpool/' and application_name !~ 'attendant$'
"""


@pytest.mark.parametrize(
    ("delivery", "tasks"),
    [("hand-off", False), ("hand-off", True), ("gateway", True), ("direct", False)],
)
def test_past_its_time(house: House, puppets: OpenPuppet, clerk: Clerk, delivery: str, tasks: bool):
    other = puppets()
    kept = other.take("own_3")
    worker = puppets(delivery=delivery, tasks=tasks)
    names = [f"conn_{number}" for number in range(LENDABLE - 1)]
    pids = {worker.take(f"own_{number % 3}", name) for number, name in enumerate(names)}
    worker.run("begin", "conn_0")
    worker.run("insert into ledger values ('stopped')", "conn_0")

    worker.stop()
    if tasks:
        worker.start("await conn_0.commit()")
    else:
        worker.start("conn_0.commit()")
    other.take("own_0", "mine", timeout=20)
    assert other.run(BACKENDS, "mine") <= LENDABLE
    wait_until(lambda: not pids & clerk.pids(), what="the end of its backends")

    worker.go_on()
    with pytest.raises(Failed, match=BROKEN):
        worker.finish()
    with pytest.raises(Failed, match=BROKEN):
        worker.run("insert into ledger values ('stopped')", "conn_3")
    for name in names:
        with pytest.raises(Failed, match="LeaseEnded"):
            worker.give_back(name)
    assert clerk.written("stopped") == 0
    worker.take("own_0", "anew")
    worker.run("insert into ledger values ('anew')", "anew")
    assert other.run("select pg_backend_pid()") == kept


def test_one_that_is_back_in_time_keeps_everything(house: House, puppets: OpenPuppet, clerk: Clerk):
    worker = puppets()
    pid = worker.take("own_0")
    worker.stop()
    worker.go_on()
    assert worker.run("select pg_backend_pid()") == pid
    worker.give_back()
