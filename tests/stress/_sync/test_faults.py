# Generated from ../_async/test_faults.py by tools/generate_sync.py: do not edit.
"""Processes that die, hang, or are stopped: slots are kept as long as needed, and never lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import BreakerOpen, DatabaseLimit
from tests.manager._sync.helpers import Background, OpenManager, pid_of, wait_until
from tests.manager.support import make_settings
from tests.stress._sync.use import hold, lease_every_slot, refusal, success, visit
from tests.stress.crowd import is_at_rest, nothing_left
from tests.support.servers import on_latest

pytestmark = on_latest

SHORT = 0.1
"""Seconds that a closing backend is waited for."""


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """Let backends do nothing at all, not even end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def two(databases: Callable[[int], list[str]]) -> dict[str, dict[str, str]]:
    """Two tenants with a database each."""
    return {name: {"dbname": dbname} for name, dbname in zip("ab", databases(2), strict=True)}


@pytest.mark.parametrize("in_use", [True, False], ids=["in use", "idle"])
def test_a_backend_that_was_killed_loses_no_slot(
    open_manager: OpenManager,
    postgres: EmbeddedPostgres,
    two: dict[str, dict[str, str]],
    in_use: bool,
):
    manager = open_manager(make_settings(postgres, two, capacity=4, check_after=0))

    def be_killed(sleep: str) -> None:
        with manager.connection("a") as conn:
            os.kill(conn.info.backend_pid, signal.SIGKILL)
            conn.execute(sleep.encode())

    if in_use:
        with pytest.raises(psycopg.OperationalError):
            be_killed("select pg_sleep(60)")
    else:
        os.kill(pid_of(manager, "a"), signal.SIGKILL)
    success(manager, "a")
    success(manager, "b")
    lease_every_slot(manager, "a", "b")


def test_a_backend_that_does_not_end_keeps_its_slot_until_it_does(
    open_manager: OpenManager,
    postgres: EmbeddedPostgres,
    two: dict[str, dict[str, str]],
    caplog: pytest.LogCaptureFixture,
):
    settings = make_settings(postgres, two, capacity=1, close_timeout=SHORT, min_connection_age=0)
    manager = open_manager(settings)
    core = manager._shells["main"].core

    with stopped(pid_of(manager, "a")):
        manager.evict("a")
        with pytest.raises(DatabaseLimit):
            manager.acquire("b", timeout=3 * SHORT)
        wait_until(lambda: "backend does not end" in caplog.text)
        assert (core.used, core.leaving) == (1, 1)
        waiter = Background(visit, manager, "b")
    waiter.result()
    assert core.used == 1


def test_backends_that_do_not_end_hold_nobody_else_up(
    open_manager: OpenManager, postgres: EmbeddedPostgres, two: dict[str, dict[str, str]]
):
    """There are more of them than threads that close connections."""
    settings = make_settings(postgres, two, connect_concurrency=1, close_timeout=SHORT)
    manager = open_manager(settings)
    with ExitStack() as stack:
        hold(stack, manager, *"aaaa")
        pids = [lease.link.pid for lease in manager.leases() if lease.link is not None]

    with stopped(*pids):
        manager.evict("a")
        visit(manager, "b")
        assert manager.stats().databases["main"].closing == len(pids)
    lease_every_slot(manager, "a", "b")


def test_closing_waits_for_a_backend_that_does_not_end_for_so_long_only(
    open_manager: OpenManager, postgres: EmbeddedPostgres, two: dict[str, dict[str, str]]
):
    manager = open_manager(make_settings(postgres, two, close_timeout=SHORT))
    core = manager._shells["main"].core

    with stopped(pid_of(manager, "a")):
        visit(manager, "b")
        manager.evict("b")
        wait_until(lambda: core.used == 1, what="the end of the one that does end")
        manager.close(grace=SHORT)
        assert (core.used, core.leaving) == (1, 1), "the books tell the truth"


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_while_the_server_is_down_all_are_refused_at_once_and_then_served_again(
    open_manager: OpenManager,
    postgres: EmbeddedPostgres,
    two: dict[str, dict[str, str]],
    how: str,
):
    manager = open_manager(make_settings(postgres, two, capacity=2))
    lease_every_slot(manager, "a", "b")
    breaker = manager._shells["main"].core.breaker

    postgres.stop(how)  # type: ignore[arg-type]
    error = refusal(manager, "a", BreakerOpen)
    assert isinstance(error.__cause__, psycopg.OperationalError)
    assert error.retry_after
    assert "database main" in error.limit
    refusal(manager, "b", BreakerOpen)
    assert breaker.state != "closed"

    postgres.start()
    for tenant in "ab":
        success(manager, tenant)
    assert breaker.state == "closed"
    lease_every_slot(manager, "a", "b")


def test_those_who_wait_are_refused_when_the_server_goes_away(
    open_manager: OpenManager, postgres: EmbeddedPostgres, two: dict[str, dict[str, str]]
):
    manager = open_manager(make_settings(postgres, two, capacity=1))

    with ExitStack() as stack:
        hold(stack, manager, "a")
        waiters = [Background(visit, manager, "b") for _ in range(3)]
        wait_until(lambda: manager.stats().databases["main"].waiting == 3)
        postgres.stop()
    for waiter in waiters:
        with pytest.raises(BreakerOpen):
            waiter.result()
    postgres.start()
    success(manager, "b")


def test_closing_while_the_server_is_down_leaves_nothing(
    open_manager: OpenManager, postgres: EmbeddedPostgres, two: dict[str, dict[str, str]]
):
    manager = open_manager(make_settings(postgres, two))
    lease_every_slot(manager, "a", "b")
    core = manager._shells["main"].core
    assert is_at_rest(core)

    postgres.stop("immediate")
    manager.close()
    nothing_left(core)
