# Generated from ../_async/test_leases.py by tools/generate_sync.py: do not edit.
"""Who holds what: holders named by their place in the code, revoked, and reported as leaks."""

from __future__ import annotations

import gc
import inspect
import logging
import types
import weakref
from collections.abc import Generator

import psycopg
import pytest

from tenantpool import LeaseEnded, Manager
from tenantpool.embedded import EmbeddedPostgres
from tests.manager._sync.helpers import OpenManager, pid_of, raises, wait_until
from tests.manager.support import backends, make_settings
from tests.support.servers import on_latest

pytestmark = on_latest

LONG = 0.3
"""Seconds that a lease is a leak after: on a busy machine it must not be one as it begins."""


def next_line() -> str:
    """``file:line in function`` of the line after the caller's."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    code = frame.f_back.f_code
    return f"{code.co_filename}:{frame.f_back.f_lineno + 1} in {code.co_qualname}"


def holder(manager: Manager) -> str:
    [lease] = manager.leases()
    return lease.holder


def is_empty(manager: Manager) -> bool:
    return manager.stats().databases["main"].used == 0


def test_the_holder_of_a_block_is_the_line_that_asked(manager: Manager):
    here = next_line()
    with manager.connection("a"):
        [lease] = manager.leases()
        assert lease.holder == here
        assert lease.tenant.name == "a"
        assert 0 < lease.held < 60
    assert manager.leases() == []
    assert lease.held == 0.0


def test_the_holder_is_found_through_every_way_to_borrow(manager: Manager):
    with manager.transaction("a"):
        assert_here(holder(manager))

    conn = manager.acquire("a")
    assert_here(holder(manager))
    manager.release(conn)

    pool = manager.pool("a")
    conn = pool.getconn()
    assert_here(holder(manager))
    pool.putconn(conn)
    with pool.connection():
        assert_here(holder(manager))


def assert_here(holder: str) -> None:
    assert holder.startswith(f"{__file__}:")
    assert holder.endswith("test_the_holder_is_found_through_every_way_to_borrow")


def test_the_holder_may_be_code_without_a_module(manager: Manager):
    made = types.FunctionType(_ask.__code__, {})
    with made(manager):
        assert holder(manager).endswith("in _ask")


def _ask(manager: Manager):
    return manager.connection("a")


def test_a_revoked_holder_can_do_nothing_more(
    manager: Manager, postgres: EmbeddedPostgres, database: str
):
    with raises(psycopg.OperationalError), manager.connection("a") as conn:
        manager.revoke(*manager.leases())
        wait_until(lambda: is_empty(manager))
        assert backends(postgres, database) == []
        conn.execute("select 1")
    assert conn.closed
    assert manager.stats().tenants["a"].revoked == 1


def test_a_slot_is_free_only_when_the_revoked_backend_is_gone(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, capacity=1)
    manager = open_manager(settings)
    for _ in range(10):
        first = manager.acquire("a")
        manager.revoke(*manager.leases())
        second = manager.acquire("a")
        assert backends(postgres, database) == [second.info.backend_pid]
        manager.release(first)
        manager.release(second)


def test_a_revoke_ends_what_the_holder_runs(manager: Manager):
    with (
        raises((psycopg.errors.QueryCanceled, psycopg.OperationalError)),
        manager.connection("a") as conn,
    ):
        conn.pgconn.send_query(b"select pg_sleep(600)")
        manager.revoke(*manager.leases())
        wait_until(lambda: is_empty(manager))
        conn.execute("select 1")


def test_a_block_that_ends_well_after_a_revoke_says_so(manager: Manager):
    with (
        raises(LeaseEnded, match=r"a: the lease taken at .*test_leases.py:\d+ .* revoked"),
        manager.connection("a") as conn,
    ):
        manager.revoke(*manager.leases())
    assert conn.closed
    wait_until(lambda: is_empty(manager))


def test_a_lease_that_is_revoked_before_it_begins_keeps_no_connection(manager: Manager):
    """Its holder has never seen the connection, so nobody else would end it."""
    conn = manager.acquire("a")
    manager.release(conn)
    core = manager._shells["main"].core
    request = core.request

    def revoked(now, lease):
        return (*request(now, lease), *core.revoke(now, lease))

    core.request = revoked  # type: ignore[method-assign]
    with raises(LeaseEnded, match="before it began"), manager.connection("a"):
        pass
    wait_until(lambda: is_empty(manager))
    forgotten = weakref.ref(conn)
    del conn
    gc.collect()

    assert forgotten() is None


def test_a_lease_that_is_thrown_away_in_the_midst_of_a_step_comes_back_after_it(
    manager: Manager,
):
    """The garbage collector runs wherever it likes: also where a core is at work."""

    def hold() -> Generator[None, None, None]:
        with manager.connection("a"):
            yield

    with manager.connection("a"):
        pass
    held = hold()
    held.send(None)
    core = manager._shells["main"].core
    request = core.request

    def collected(now, lease):
        held.close()
        assert len(core.slots) == 1
        assert held_slot.request is not None, "the step goes on as it began"
        return request(now, lease)

    [held_slot] = core.slots
    core.request = collected  # type: ignore[method-assign]
    with manager.connection("a"):
        assert len(manager.leases()) == 1
    assert not manager.leases()


def test_a_revoke_at_the_very_end_of_a_block_closes_the_connection(manager: Manager):
    core = manager._shells["main"].core
    release = core.release

    def revoked(now, lease, *, healthy=True):
        return (*core.revoke(now, lease), *release(now, lease, healthy=healthy))

    core.release = revoked  # type: ignore[method-assign]
    with manager.connection("a") as conn:
        conn.execute("select 1")
    assert conn.closed
    wait_until(lambda: is_empty(manager))


def test_a_revoke_comes_too_late_for_a_lease_that_ended(manager: Manager):
    with manager.connection("a"):
        [lease] = manager.leases()
    manager.revoke(lease)
    assert manager.stats().tenants["a"].revoked == 0
    assert manager.stats().databases["main"].idle == 1


def test_a_lease_that_lasts_too_long_is_revoked(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier={"max_lease": 0.05})
    manager = open_manager(settings)
    with raises(LeaseEnded, match="revoked"), manager.connection("a"):
        wait_until(lambda: is_empty(manager))
    wait_until(lambda: is_empty(manager))  # it may have been late before it began
    assert backends(postgres, database) == []


@pytest.mark.parametrize("revoke", [False, True])
def test_a_leak_is_reported_once_with_its_holder(
    revoke: bool,
    postgres: EmbeddedPostgres,
    database: str,
    open_manager: OpenManager,
    caplog: pytest.LogCaptureFixture,
):
    tier = {"leak_after": LONG, "leak_revoke": revoke}
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier=tier)
    manager = open_manager(settings)
    sweeps = count_sweeps(manager)
    caplog.set_level(logging.WARNING, "tenantpool")
    conn = manager.acquire("a")
    wait_until(lambda: manager.stats().tenants["a"].leaks)
    if revoke:
        wait_until(lambda: is_empty(manager))
    else:
        seen = len(sweeps)
        wait_until(lambda: len(sweeps) > seen + 2)
    manager.release(conn)

    [leak] = [r for r in caplog.records if r.__dict__["event"] == "leak"]
    fields = leak.__dict__["fields"]
    assert (fields["tenant"], fields["held"] > LONG) == ("a", True)
    assert fields["holder"].startswith(__file__)
    assert f"holder='{__file__}:" in leak.getMessage()
    stats = manager.stats().tenants["a"]
    assert (stats.leaks, stats.revoked) == (1, int(revoke))
    assert conn.closed is revoke


def count_sweeps(manager: Manager) -> list[None]:
    """A list that grows with every sweep from now on."""
    shell, sweeps = manager._shells["main"], list[None]()
    sweep = shell.core.sweep

    def counted(now, pool):
        sweeps.append(None)
        return sweep(now, pool)

    shell.core.sweep = counted  # type: ignore[method-assign]
    return sweeps


def test_a_connection_does_not_outlive_its_time(
    postgres: EmbeddedPostgres, database: str, open_manager: OpenManager
):
    settings = make_settings(postgres, {"a": {"dbname": database}}, tier={"max_lifetime": 0.1})
    manager = open_manager(settings)
    old = pid_of(manager, "a")
    wait_until(lambda: is_empty(manager), what="an idle connection to be closed")
    with manager.connection("a") as conn:
        assert conn.info.backend_pid != old
        wait_until(lambda: manager.leases()[0].held > 0.1)
    wait_until(lambda: is_empty(manager), what="a used connection to be closed")
