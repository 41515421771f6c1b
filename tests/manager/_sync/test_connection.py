# Generated from ../_async/test_connection.py by tools/generate_sync.py: do not edit.
"""``manager.connection(tenant)``: a transaction that ends with its block, and a loan that does."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from psycopg import Connection

from tenantpool import LeaseEnded, Manager, TenantLimit
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import Background, raises, wait_until
from tests.manager.support import kill
from tests.support.servers import on_latest

pytestmark = on_latest


class Oops(Exception):
    """What a caller's code may raise."""


def in_use(manager: Manager) -> int:
    return manager.stats().databases["main"].in_use


def is_waiting(manager: Manager, count: int) -> bool:
    return manager.stats().tenants["a"].waiting == count


def numbers(manager: Manager) -> list[int]:
    """The table, seen from another transaction."""
    return [n for (n,) in manager.execute("a", "select n from numbers order by 1")]


@pytest.fixture
def table(manager: Manager) -> None:
    manager.execute("a", "create table numbers (n int unique deferrable initially deferred)")


@pytest.mark.usefixtures("table")
def test_a_block_that_ends_well_commits(manager: Manager):
    with manager.connection("a") as conn:
        assert isinstance(conn, Connection)
        conn.execute("insert into numbers values (1)")
        assert numbers(manager) == []
        assert in_use(manager) == 1
    assert numbers(manager) == [1]
    assert in_use(manager) == 0


@pytest.mark.usefixtures("table")
def test_a_block_that_raises_rolls_back(manager: Manager):
    with raises(Oops), manager.connection("a") as conn:
        conn.execute("insert into numbers values (1)")
        raise Oops
    assert numbers(manager) == []
    assert in_use(manager) == 0


@pytest.mark.usefixtures("table")
def test_a_commit_that_fails_raises_and_the_connection_comes_back(manager: Manager):
    with raises(psycopg.errors.UniqueViolation), manager.connection("a") as conn:
        conn.execute("insert into numbers values (1), (1)")
    with manager.connection("a") as again:
        assert again is conn
        assert conn.info.transaction_status.name == "IDLE"
    assert numbers(manager) == []


@pytest.mark.usefixtures("table")
def test_an_error_that_the_block_has_dealt_with_rolls_back(manager: Manager):
    with manager.connection("a") as conn:
        conn.execute("insert into numbers values (1)")
        with pytest.raises(psycopg.errors.UndefinedTable):
            conn.execute("select * from nowhere")
    assert numbers(manager) == []


@pytest.mark.usefixtures("table")
def test_transaction_blocks_inside_work_as_they_do_in_psycopg(manager: Manager):
    with manager.connection("a") as conn:
        with conn.transaction():
            conn.execute("insert into numbers values (1)")
        with raises(Oops), conn.transaction():
            conn.execute("insert into numbers values (2)")
            raise Oops
        with manager.connection("a") as other:
            assert other is not conn
            other.execute("insert into numbers values (3)")
    assert numbers(manager) == [1, 3]


@pytest.mark.usefixtures("table")
def test_transaction_mode_is_one_transaction(manager: Manager):
    with manager.transaction("a", timeout=5, priority=1) as conn:
        assert conn.info.transaction_status.name == "INTRANS"
        conn.execute("insert into numbers values (1)")
        with pytest.raises(psycopg.ProgrammingError):
            conn.commit()
    with raises(Oops), manager.transaction("a") as conn:
        conn.execute("insert into numbers values (2)")
        raise Oops
    assert numbers(manager) == [1]
    assert in_use(manager) == 0


def test_a_connection_closed_in_its_block_is_replaced(manager: Manager):
    with manager.connection("a") as conn:
        conn.close()
    wait_until(lambda: manager.stats().databases["main"].used == 0)
    with manager.connection("a") as again:
        assert again is not conn
        assert not again.closed


def test_a_connection_that_dies_in_its_block_is_replaced(
    manager: Manager, postgres: EmbeddedPostgres
):
    with raises(psycopg.OperationalError), manager.connection("a") as conn:
        kill(postgres, conn.info.backend_pid)
        conn.execute("select 1")
    assert (manager.execute("a", "select 1")).fetchone() == (1,)
    assert manager.stats().tenants["a"].lost == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_statement_that_still_runs_is_cancelled(
    fails: bool, manager: Manager, postgres: EmbeddedPostgres
):
    with raises(Oops if fails else psycopg.OperationalError), manager.connection("a") as conn:
        conn.pgconn.send_query(b"select pg_sleep(600)")
        if fails:
            raise Oops
    wait_until(lambda: conn.closed and manager.stats().databases["main"].used == 0)
    assert postgres.execute("select 1 from pg_stat_activity where query ~ '[6]00'") == []


def test_a_lease_is_used_once(manager: Manager):
    lease = manager.connection("a")
    with lease, raises(LeaseEnded, match="used once"):
        lease.__enter__()
    with pytest.raises(LeaseEnded, match="used once"):
        lease.__enter__()
    with pytest.raises(LeaseEnded):
        lease.end(failed=False)
    assert in_use(manager) == 0
    assert manager.stats().tenants["a"].leases == 1


def test_a_waiter_gets_the_connection_that_comes_back(manager: Manager):
    first, second = manager.acquire("a"), manager.acquire("a")
    waiter = Background(manager.acquire, "a", timeout=20)
    wait_until(lambda: manager.stats().tenants["a"].waiting == 1)

    manager.release(first)

    third = waiter.result()
    assert third is first
    manager.release(second)
    manager.release(third)


def test_the_more_urgent_request_goes_first(manager: Manager):
    served: list[int] = []

    def ask(priority: int) -> None:
        with manager.connection("a", priority=priority):
            served.append(priority)

    held = [manager.acquire("a"), manager.acquire("a")]
    jobs = []
    for number, priority in enumerate([0, 2, 1], 1):
        jobs.append(Background(ask, priority))
        wait_until(partial(is_waiting, manager, number))
    manager.release(held[0])
    for job in jobs:
        job.result()
    manager.release(held[1])
    assert served == [2, 1, 0]


def test_a_refusal_does_not_keep_the_frame_that_asked(manager: Manager):
    seen: list[weakref.ref[Oops]] = []

    def ask() -> None:
        local = Oops()
        seen.append(weakref.ref(local))
        with manager.connection("a", timeout=0):
            pass

    with manager.connection("a"), manager.connection("a"):
        gc.disable()
        try:
            with suppress(TenantLimit):
                ask()
            assert seen[0]() is None
        finally:
            gc.enable()
