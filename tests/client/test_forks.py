"""A client in a child process: it begins anew, and nothing happens to what the parent has."""

from __future__ import annotations

import gc
import os
from typing import Any

import psycopg
import pytest

from tenantpool.client import LeaseClient
from tenantpool.errors import LeaseEnded, ManagerClosed
from tests.client.fake import FakeService
from tests.manager.test_forks import in_child
from tests.support.servers import on_latest

pytestmark = on_latest


def test_a_child_begins_anew_and_the_parent_goes_on(fake: FakeService):
    with LeaseClient(f"unix:{fake.folder}", linger=60) as leases:
        held = leases.acquire("a")
        with leases.connection("parked") as conn:
            conn.execute("select 1")
        with leases.connection("b") as conn:
            conn.execute("set timezone = 'Asia/Tokyo'")
        before = len(fake.heard("acquire"))

        def use() -> str:
            assert leases.stats().lent == 0
            with leases.connection("parked") as conn:
                said = str(conn.execute("select 'mine'").fetchone())
            leases.close()
            return said

        assert in_child(use) == "('mine',)"
        assert len(fake.heard("acquire")) == before + 1
        assert held.execute("select 1").fetchone() == (1,)
        held.close()
        with leases.connection("parked") as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        assert len(fake.heard("acquire")) == before + 1
        assert leases.stats().sessions == 1


@pytest.mark.parametrize("delivery", ["", "gateway"])
def test_a_lease_of_the_parent_is_over_in_the_child(delivery: str, fake: FakeService):
    with LeaseClient(f"unix:{fake.folder}", linger=0, delivery=delivery) as leases:
        lease = leases.connection("a")
        with lease as conn:
            conn.execute("create temp table t (x int)")

            def use() -> str:
                assert conn.closed
                with pytest.raises(psycopg.Error):
                    conn.execute("drop table t")
                conn.close()
                with pytest.raises(LeaseEnded):
                    lease.end(failed=False)
                vars(leases).clear()
                gc.collect()
                return "done"

            assert in_child(use) == "done"
            assert conn.execute("select count(*) from t").fetchone() == (0,)
        assert not any(release.broken for release in fake.heard("release"))


def test_leaving_a_block_in_the_child_says_so(fake: FakeService):
    with LeaseClient(f"unix:{fake.folder}", linger=0) as leases:
        conn: Any = leases.acquire("a")

        def use() -> str:
            conn._pool.end(failed=False)
            return "no error"

        assert in_child(use) == "LeaseEnded: a: it was taken by the parent process"
        assert conn.execute("select 1").fetchone() == (1,)
        conn.close()


def test_a_child_that_ends_ends_nothing(fake: FakeService):
    with LeaseClient(f"unix:{fake.folder}", linger=60) as leases:
        held = leases.acquire("a")
        with leases.connection("b"):
            pass

        def end() -> str:
            vars(leases).clear()
            return str(gc.collect())

        in_child(end)
        assert held.execute("select 1").fetchone() == (1,)
        with leases.connection("b") as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        held.close()
        assert fake.heard("goodbye") == []
    assert len(fake.heard("goodbye")) == 1


def test_the_child_keeps_no_descriptor_of_the_parents_connections(fake: FakeService):
    with LeaseClient(f"unix:{fake.folder}", linger=60) as leases:
        held = leases.acquire("a")
        inode = os.fstat(held.fileno()).st_ino

        def look() -> str:
            found = [fd for fd in os.listdir("/proc/self/fd") if _inode(fd) == inode]
            return f"{len(found)} left"

        # The fake runs in this process, and its own copy of the socket is inherited.
        assert in_child(look) == "1 left"
        held.close()


def _inode(fd: str) -> int:
    try:
        return os.fstat(int(fd)).st_ino
    except OSError:
        return 0


def test_a_client_that_was_closed_stays_closed(fake: FakeService):
    leases: LeaseClient[Any] = LeaseClient(f"unix:{fake.folder}")
    leases.open()
    leases.close()
    said = in_child(lambda: str(leases.acquire("a")))
    assert said == "ManagerClosed: the client is closed"
    with pytest.raises(ManagerClosed):
        leases.acquire("a")
