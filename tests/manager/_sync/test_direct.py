# Generated from ../_async/test_direct.py by tools/generate_sync.py: do not edit.
"""Leases whose workers connect by themselves: counted, marked, ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from tenantpool import LeaseEnded, Manager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import NotAllowed
from tenantpool.manager._sync.lease import Lease
from tenantpool.manager.register import Register
from tenantpool.pools._sync.link import Link
from tests.manager._sync.helpers import Background, OpenManager, wait_until
from tests.manager.support import make_settings, shared
from tests.pools._sync.test_separation import HOSTILE
from tests.support.connector import Connector
from tests.support.sampler import Sampler
from tests.support.servers import on_latest

pytestmark = on_latest

MARK = "tenantpool/test"

Start = Callable[[str], Connector]


@pytest.fixture
def start() -> Iterator[Start]:
    """``start(conninfo)`` returns a worker that lasts until the end of the test."""
    with ExitStack() as stack:
        yield lambda conninfo: stack.enter_context(Connector(conninfo))


@pytest.fixture
def manager(postgres: EmbeddedPostgres, database: str, open_manager: OpenManager) -> Manager:
    """A tenant, ``a``, one connection for it, and the attendant's."""
    return open_manager(make_settings(postgres, {"a": {"dbname": database}}, capacity=2), mark=MARK)


def lend(manager: Manager, tenant: str = "a") -> tuple[Lease, str]:
    """A direct lease, and what its worker is told."""
    lease = manager.connection(tenant, timeout=5)
    lease.__enter__()
    return lease, lease.shell.make_direct(lease)


def give_back(lease: Lease) -> None:
    lease.shell.step(lease.shell.core.release, lease)


def backends(postgres: EmbeddedPostgres, dbname: str) -> list[int]:
    """All backends in a database."""
    sql = "select pid from pg_stat_activity where datname = %s order by backend_start"
    return [pid for (pid,) in postgres.execute(sql, [dbname])]


def used(manager: Manager) -> int:
    return manager.stats().databases["main"].used


def test_a_worker_connects_in_the_place_of_the_lease(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = lend(manager)
    assert backends(postgres, database) == []
    assert used(manager) == 1

    worker = start(conninfo)
    pid = worker.run("select pg_backend_pid()")
    name = worker.run("show application_name")
    assert backends(postgres, database) == [int(pid)]
    assert name.startswith(f"{MARK} direct-")
    assert name == conninfo_to_dict(conninfo)["application_name"]

    give_back(lease)
    wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []
    assert worker.run("select 1") == "AdminShutdown"
    assert (manager.execute("a", "select 1")).fetchone() == (1,)


def test_what_a_worker_has_connected_is_noted_for_a_successor(
    postgres: EmbeddedPostgres, database: str, start: Start, tmp_path: Path
):
    path = tmp_path / "test.backends"
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=2)
    with Manager(settings, mark=MARK, register=path) as manager:
        lease, conninfo = lend(manager)
        assert path.read_text().count("\n") == 2, "its own connection came and went"
        pid = int(start(conninfo).run("select pg_backend_pid()"))
        wait_until(lambda: f'["main", {pid}, ' in path.read_text())
        crashed = Register(path)
        crashed.open()
        assert crashed.left("main")[pid] == pytest.approx(time.time(), abs=60)
        crashed.disown()
        give_back(lease)
    assert not path.exists()


def test_the_slot_is_lent_on_when_the_worker_is_gone_and_not_before(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = lend(manager)
    worker = start(conninfo)
    worker.run("create temporary table mine as select 1")
    worker.stop()

    manager.revoke(lease)

    assert (manager.execute("a", "select 1", timeout=10)).fetchone() == (1,)
    assert len(backends(postgres, database)) == 1


def test_a_worker_that_is_stopped_cannot_commit_afterwards(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    postgres.execute("create table orders (id int)", dbname=database)
    lease, conninfo = lend(manager)
    worker = start(conninfo)
    worker.run("begin")
    worker.run("insert into orders values (1)")
    worker.stop()

    manager.revoke(lease)
    wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []

    worker.go_on()
    assert worker.run("commit") == "AdminShutdown"
    assert postgres.execute("select * from orders", dbname=database) == []


def test_a_lease_is_one_connection(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = lend(manager)
    worker = start(conninfo)
    older, younger = (worker.run("select pg_backend_pid()", on=n) for n in (0, 1))
    wait_until(lambda: backends(postgres, database) == [int(older)])
    assert worker.run("select 1", on=0) == "1"
    # It may have been found out while it was made.
    assert worker.run("select 1", on=1) in ("AdminShutdown", "OperationalError")
    assert older != younger
    give_back(lease)


def test_a_worker_that_has_been_seen_cannot_hide(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = lend(manager)
    worker = start(conninfo)
    pid = int(worker.run("select pg_backend_pid()"))
    link: Any = lease.link
    wait_until(lambda: [int(backend.pid) for backend in link.seen] == [pid])
    worker.run("set application_name = 'nobody'")
    worker.run("set session authorization pg_monitor")

    give_back(lease)
    wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []


def test_nobody_pushes_a_worker_out_by_taking_its_name(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    """Every role can read the name, and an older session could put it on."""
    postgres.execute("create role other login")
    other = psycopg.connect(postgres.dsn(database, user="other"), autocommit=True)
    try:
        lease, conninfo = lend(manager)
        name = conninfo_to_dict(conninfo)["application_name"]
        worker = start(conninfo)
        pid = int(worker.run("select pg_backend_pid()"))
        other.execute("select set_config('application_name', %s, false)", [name])
        wait_until(lambda: backends(postgres, database) == [pid])
        assert worker.run("select 1") == "1"
        give_back(lease)
        wait_until(lambda: used(manager) == 0)
    finally:
        other.close()
        postgres.execute("drop role other")


def test_a_worker_that_comes_too_late_is_ended(
    manager: Manager,
    postgres: EmbeddedPostgres,
    database: str,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tenantpool.pools._sync.direct._SELDOM", 0.1)
    lease, conninfo = lend(manager)
    give_back(lease)
    wait_until(lambda: used(manager) == 0)

    worker = start(conninfo)
    worker.run("select 1")
    wait_until(lambda: backends(postgres, database) == [])
    assert worker.run("select 1") == "AdminShutdown"


def test_the_session_of_the_tenant_is_there_from_the_start(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, start: Start
):
    postgres.execute('create role "My role"')
    try:
        tenants = {
            name: {**spec, "role": "My role", "schema": 'A "b" \\c'}
            for name, spec in shared(database, *HOSTILE).items()
        }
        settings = make_settings(postgres, tenants, tier={"statement_timeout": 77}, capacity=2)
        manager = open_manager(settings, mark=MARK)
        for name in HOSTILE:
            lease, conninfo = lend(manager, name)
            worker = start(conninfo)
            for _ in range(2):
                found = worker.run(
                    "select encode(convert_to(current_setting('app.tenant'), 'utf8'), 'hex')"
                )
                assert bytes.fromhex(found).decode() == name
                assert worker.run("select current_user") == "My role"
                assert worker.run("show search_path") == '"A ""b"" \\c", public'
                assert worker.run("show statement_timeout") == "77s"
                worker.run("reset all")
            give_back(lease)
        manager.close()
    finally:
        postgres.execute('drop role "My role"')


def test_what_could_not_be_ended_is_not_lent(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    postgres.execute("create role limited login")
    try:
        tenants = {"a": {"dbname": database}, "b": {"dbname": database, "user": "postgres"}}
        dsn = postgres.dsn(user="limited")
        manager = open_manager(make_settings(postgres, tenants, conninfo=dsn), mark=MARK)
        with manager.connection("b") as conn:
            [lease] = manager.leases()
            with pytest.raises(NotAllowed, match="grant it pg_signal_backend"):
                lease.shell.make_direct(lease)
            conn.execute("select 1")
        own, conninfo = lend(manager, "a")
        assert conninfo_to_dict(conninfo)["user"] == "limited"
        give_back(own)
        manager.close()
    finally:
        postgres.execute("drop role limited")


def test_a_manager_without_a_mark_lends_nothing_directly(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = open_manager(make_settings(postgres, {"a": {"dbname": database}}))
    with pytest.raises(NotAllowed, match="without a mark"):
        lend(manager)
    [lease] = manager.leases()
    lease.end(failed=True)


def test_a_lease_that_has_ended_is_not_made_direct(manager: Manager):
    lease = manager.connection("a")
    with lease:
        pass
    with pytest.raises(LeaseEnded):
        lease.shell.make_direct(lease)


def test_a_lease_that_is_revoked_meanwhile_is_not_made_direct(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
):
    end = Link.end

    def revoke_and_end(link: Link, timeout: float) -> bool:
        manager.revoke(lease)
        return end(link, timeout)

    monkeypatch.setattr(Link, "end", revoke_and_end)
    lease = manager.connection("a")
    lease.__enter__()
    with pytest.raises(LeaseEnded, match="revoked"):
        lease.shell.make_direct(lease)
    wait_until(lambda: used(manager) == 0)


def test_a_direct_lease_can_end_as_any_other(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease = manager.connection("a")
    with lease:
        worker = start(lease.shell.make_direct(lease))
        worker.run("select 1")
    wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []


def test_the_limit_holds_at_every_moment(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, sampler: Sampler
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=4)
    manager = open_manager(settings, mark=MARK)

    def work() -> None:
        for _ in range(10):
            lease, conninfo = lend(manager)
            conn = Connection.connect(conninfo)
            conn.execute("select 1")
            give_back(lease)
            conn.close()
            manager.execute("a", "select 1", timeout=20)

    for worker in [Background(work) for _ in range(5)]:
        worker.result()
    assert sampler.samples > 10
    assert sampler.most <= 4


def test_a_server_that_is_down_keeps_the_slot_until_it_can_be_asked(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, start: Start
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, close_timeout=0.2)
    manager = open_manager(settings, mark=MARK)
    lease, conninfo = lend(manager)
    start(conninfo).run("select 1")
    postgres.stop()
    try:
        give_back(lease)
        assert used(manager) == 1
    finally:
        postgres.start()
    wait_until(lambda: used(manager) == 0)


def test_a_direct_lease_ends_with_the_manager(
    manager: Manager, postgres: EmbeddedPostgres, database: str, start: Start
):
    _, conninfo = lend(manager)
    start(conninfo).run("select 1")
    assert manager.close(0) == 1
    assert backends(postgres, database) == []
