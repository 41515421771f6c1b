"""Leases whose workers connect by themselves: counted, marked, ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from tenantpool import AsyncManager, LeaseEnded
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import NotAllowed
from tenantpool.manager._async.lease import AsyncLease
from tenantpool.manager.register import Register
from tenantpool.pools._async.link import AsyncLink
from tests.manager._async.helpers import Background, OpenManager, wait_until
from tests.manager.support import make_settings, shared
from tests.pools._async.test_separation import HOSTILE
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
async def manager(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
) -> AsyncManager:
    """A tenant, ``a``, one connection for it, and the attendant's."""
    return await open_manager(
        make_settings(postgres, {"a": {"dbname": database}}, capacity=2), mark=MARK
    )


async def lend(manager: AsyncManager, tenant: str = "a") -> tuple[AsyncLease, str]:
    """A direct lease, and what its worker is told."""
    lease = manager.connection(tenant, timeout=5)
    await lease.__aenter__()
    return lease, await lease.shell.make_direct(lease)


def give_back(lease: AsyncLease) -> None:
    lease.shell.step(lease.shell.core.release, lease)


def backends(postgres: EmbeddedPostgres, dbname: str) -> list[int]:
    """All backends in a database."""
    sql = "select pid from pg_stat_activity where datname = %s order by backend_start"
    return [pid for (pid,) in postgres.execute(sql, [dbname])]


def used(manager: AsyncManager) -> int:
    return manager.stats().databases["main"].used


async def test_a_worker_connects_in_the_place_of_the_lease(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = await lend(manager)
    assert backends(postgres, database) == []
    assert used(manager) == 1

    worker = start(conninfo)
    pid = worker.run("select pg_backend_pid()")
    name = worker.run("show application_name")
    assert backends(postgres, database) == [int(pid)]
    assert name.startswith(f"{MARK} direct-")
    assert name == conninfo_to_dict(conninfo)["application_name"]

    give_back(lease)
    await wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []
    assert worker.run("select 1") == "AdminShutdown"
    assert (await manager.execute("a", "select 1")).fetchone() == (1,)


async def test_what_a_worker_has_connected_is_noted_for_a_successor(
    postgres: EmbeddedPostgres, database: str, start: Start, tmp_path: Path
):
    path = tmp_path / "test.backends"
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=2)
    async with AsyncManager(settings, mark=MARK, register=path) as manager:
        lease, conninfo = await lend(manager)
        assert path.read_text().count("\n") == 2, "its own connection came and went"
        pid = int(start(conninfo).run("select pg_backend_pid()"))
        await wait_until(lambda: f'["main", {pid}, ' in path.read_text())
        crashed = Register(path)
        crashed.open()
        assert crashed.left("main")[pid] == pytest.approx(time.time(), abs=60)
        crashed.disown()
        give_back(lease)
    assert not path.exists()


async def test_the_slot_is_lent_on_when_the_worker_is_gone_and_not_before(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = await lend(manager)
    worker = start(conninfo)
    worker.run("create temporary table mine as select 1")
    worker.stop()

    manager.revoke(lease)

    assert (await manager.execute("a", "select 1", timeout=10)).fetchone() == (1,)
    assert len(backends(postgres, database)) == 1


async def test_a_worker_that_is_stopped_cannot_commit_afterwards(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    postgres.execute("create table orders (id int)", dbname=database)
    lease, conninfo = await lend(manager)
    worker = start(conninfo)
    worker.run("begin")
    worker.run("insert into orders values (1)")
    worker.stop()

    manager.revoke(lease)
    await wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []

    worker.go_on()
    assert worker.run("commit") == "AdminShutdown"
    assert postgres.execute("select * from orders", dbname=database) == []


async def test_a_lease_is_one_connection(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = await lend(manager)
    worker = start(conninfo)
    older, younger = (worker.run("select pg_backend_pid()", on=n) for n in (0, 1))
    await wait_until(lambda: backends(postgres, database) == [int(older)])
    assert worker.run("select 1", on=0) == "1"
    # It may have been found out while it was made.
    assert worker.run("select 1", on=1) in ("AdminShutdown", "OperationalError")
    assert older != younger
    give_back(lease)


async def test_a_worker_that_has_been_seen_cannot_hide(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease, conninfo = await lend(manager)
    worker = start(conninfo)
    pid = int(worker.run("select pg_backend_pid()"))
    link: Any = lease.link
    await wait_until(lambda: [int(backend.pid) for backend in link.seen] == [pid])
    worker.run("set application_name = 'nobody'")
    worker.run("set session authorization pg_monitor")

    give_back(lease)
    await wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []


async def test_nobody_pushes_a_worker_out_by_taking_its_name(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    """Every role can read the name, and an older session could put it on."""
    postgres.execute("create role other login")
    other = psycopg.connect(postgres.dsn(database, user="other"), autocommit=True)
    try:
        lease, conninfo = await lend(manager)
        name = conninfo_to_dict(conninfo)["application_name"]
        worker = start(conninfo)
        pid = int(worker.run("select pg_backend_pid()"))
        other.execute("select set_config('application_name', %s, false)", [name])
        await wait_until(lambda: backends(postgres, database) == [pid])
        assert worker.run("select 1") == "1"
        give_back(lease)
        await wait_until(lambda: used(manager) == 0)
    finally:
        other.close()
        postgres.execute("drop role other")


async def test_a_worker_that_comes_too_late_is_ended(
    manager: AsyncManager,
    postgres: EmbeddedPostgres,
    database: str,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("tenantpool.pools._async.direct._SELDOM", 0.1)
    lease, conninfo = await lend(manager)
    give_back(lease)
    await wait_until(lambda: used(manager) == 0)

    worker = start(conninfo)
    worker.run("select 1")
    await wait_until(lambda: backends(postgres, database) == [])
    assert worker.run("select 1") == "AdminShutdown"


async def test_the_session_of_the_tenant_is_there_from_the_start(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, start: Start
):
    postgres.execute('create role "My role"')
    try:
        tenants = {
            name: {**spec, "role": "My role", "schema": 'A "b" \\c'}
            for name, spec in shared(database, *HOSTILE).items()
        }
        settings = make_settings(postgres, tenants, tier={"statement_timeout": 77}, capacity=2)
        manager = await open_manager(settings, mark=MARK)
        for name in HOSTILE:
            lease, conninfo = await lend(manager, name)
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
        await manager.close()
    finally:
        postgres.execute('drop role "My role"')


async def test_what_could_not_be_ended_is_not_lent(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    postgres.execute("create role limited login")
    try:
        tenants = {"a": {"dbname": database}, "b": {"dbname": database, "user": "postgres"}}
        dsn = postgres.dsn(user="limited")
        manager = await open_manager(make_settings(postgres, tenants, conninfo=dsn), mark=MARK)
        async with manager.connection("b") as conn:
            [lease] = manager.leases()
            with pytest.raises(NotAllowed, match="grant it pg_signal_backend"):
                await lease.shell.make_direct(lease)
            await conn.execute("select 1")
        own, conninfo = await lend(manager, "a")
        assert conninfo_to_dict(conninfo)["user"] == "limited"
        give_back(own)
        await manager.close()
    finally:
        postgres.execute("drop role limited")


async def test_a_manager_without_a_mark_lends_nothing_directly(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    manager = await open_manager(make_settings(postgres, {"a": {"dbname": database}}))
    with pytest.raises(NotAllowed, match="without a mark"):
        await lend(manager)
    [lease] = manager.leases()
    await lease.end(failed=True)


async def test_a_lease_that_has_ended_is_not_made_direct(manager: AsyncManager):
    lease = manager.connection("a")
    async with lease:
        pass
    with pytest.raises(LeaseEnded):
        await lease.shell.make_direct(lease)


async def test_a_lease_that_is_revoked_meanwhile_is_not_made_direct(
    manager: AsyncManager, monkeypatch: pytest.MonkeyPatch
):
    end = AsyncLink.end

    async def revoke_and_end(link: AsyncLink, timeout: float) -> bool:
        manager.revoke(lease)
        return await end(link, timeout)

    monkeypatch.setattr(AsyncLink, "end", revoke_and_end)
    lease = manager.connection("a")
    await lease.__aenter__()
    with pytest.raises(LeaseEnded, match="revoked"):
        await lease.shell.make_direct(lease)
    await wait_until(lambda: used(manager) == 0)


async def test_a_direct_lease_can_end_as_any_other(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    lease = manager.connection("a")
    async with lease:
        worker = start(await lease.shell.make_direct(lease))
        worker.run("select 1")
    await wait_until(lambda: used(manager) == 0)
    assert backends(postgres, database) == []


async def test_the_limit_holds_at_every_moment(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, sampler: Sampler
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=4)
    manager = await open_manager(settings, mark=MARK)

    async def work() -> None:
        for _ in range(10):
            lease, conninfo = await lend(manager)
            conn = await AsyncConnection.connect(conninfo)
            await conn.execute("select 1")
            give_back(lease)
            await conn.close()
            await manager.execute("a", "select 1", timeout=20)

    for worker in [Background(work) for _ in range(5)]:
        await worker.result()
    assert sampler.samples > 10
    assert sampler.most <= 4


async def test_a_server_that_is_down_keeps_the_slot_until_it_can_be_asked(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager, start: Start
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, close_timeout=0.2)
    manager = await open_manager(settings, mark=MARK)
    lease, conninfo = await lend(manager)
    start(conninfo).run("select 1")
    postgres.stop()
    try:
        give_back(lease)
        assert used(manager) == 1
    finally:
        postgres.start()
    await wait_until(lambda: used(manager) == 0)


async def test_a_direct_lease_ends_with_the_manager(
    manager: AsyncManager, postgres: EmbeddedPostgres, database: str, start: Start
):
    _, conninfo = await lend(manager)
    start(conninfo).run("select 1")
    assert await manager.close(0) == 1
    assert backends(postgres, database) == []
