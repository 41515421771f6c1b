"""PostgreSQL is restarted under the service: leases break, and after it all is as before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.embedded.server import StopMode
from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import House
from tests.service_faults.puppet import BROKEN, Failed, Puppet
from tests.support.wait import wait_until

TENANTS = ["own_0", "own_1", "sharing_1"]


def works(worker: Puppet) -> bool:
    """Whether a lease works again."""
    try:
        worker.take("own_0", "new", timeout=5)
        worker.give_back("new")
    except Failed:
        return False
    return True


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_under_load(
    house: House,
    puppets: OpenPuppet,
    clerk: Clerk,
    server: EmbeddedPostgres,
    how: StopMode,
    tmp_path: Path,
):
    holders = [puppets(delivery=delivery) for delivery in ("hand-off", "gateway", "direct")]
    for holder in holders:
        holder.take("own_0")
        holder.run("begin")
        holder.run("insert into ledger values ('lost')")
    load = puppets(linger=0.1)
    stop = tmp_path / "stop"
    load.start(f"crowd_in(client, {TENANTS}, {str(stop)!r}, 'restart', timeout=5)")
    lent = house.books()["lent"]
    wait_until(lambda: house.books()["lent"] > lent + 5)

    clerk.restart(how)
    for holder in holders:
        with pytest.raises(Failed, match=BROKEN):
            holder.run("insert into ledger values ('lost')")
        holder.give_back()
    lent = house.books()["lent"]
    wait_until(lambda: house.books()["lent"] > lent + 5, 20)
    stop.touch()
    outcomes = load.finish()
    assert outcomes["done"] > 3, outcomes
    for holder in holders:
        wait_until(partial(works, holder), 20, what="leases after the restart")
    assert clerk.written("lost") == 0
