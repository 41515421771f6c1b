"""A manager in a child process: nothing but a clear error, and the parent's goes on."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from collections.abc import Callable

import pytest

from tenantpool import AsyncManager, Manager, ManagerClosed
from tenantpool.embedded import EmbeddedPostgres
from tests.manager.support import backends, make_settings
from tests.support.servers import on_latest

pytestmark = on_latest


def in_child(job: Callable[[], str]) -> str:
    """What *job* returns, or the error it raises, in a fork of this process."""
    end, start = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
        pid = os.fork()
    if not pid:
        try:
            said = job()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(start, said.encode())
        os._exit(0)
    os.close(start)
    with os.fdopen(end) as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return said


def test_a_child_is_told_and_the_parent_goes_on(postgres: EmbeddedPostgres, database: str):
    with Manager(make_settings(postgres, {"a": {"dbname": database}})) as manager:
        idle, held = manager.acquire("a"), manager.acquire("a")
        manager.release(idle)
        pids = backends(postgres, database)

        def use() -> str:
            with pytest.raises(ManagerClosed) as refusal:
                manager.connection("a")
            assert not manager.is_open
            assert manager.close() == 0
            for shell in manager._shells.values():
                shell.core.slots.clear()
            vars(manager).clear()
            gc.collect()
            return str(refusal.value)

        said = in_child(use)

        assert said == "the manager is of the parent process: make one in each process"
        assert manager.is_open
        assert backends(postgres, database) == pids
        assert held.execute("select 1").fetchone() == (1,)
        manager.release(held)
        assert manager.execute("a", "select 1").fetchone() == (1,)


def test_a_child_may_have_a_manager_of_its_own(postgres: EmbeddedPostgres, database: str):
    settings = make_settings(postgres, {"a": {"dbname": database}})

    def use() -> str:
        with Manager(settings) as own:
            return str(own.execute("a", "select 'mine'").fetchone())

    with Manager(settings) as manager:
        manager.execute("a", "select 1")
        assert in_child(use) == "('mine',)"
        assert manager.execute("a", "select 1").fetchone() == (1,)


def test_a_lease_that_a_child_inherits_is_the_parents(postgres: EmbeddedPostgres, database: str):
    with Manager(make_settings(postgres, {"a": {"dbname": database}})) as manager:
        conn = manager.acquire("a")

        def give_back() -> str:
            manager.release(conn)
            return "given back"

        in_child(give_back)
        assert conn.execute("select 1").fetchone() == (1,)
        manager.release(conn)


async def test_a_child_of_an_event_loop_is_told_too(postgres: EmbeddedPostgres, database: str):
    async with AsyncManager(make_settings(postgres, {"a": {"dbname": database}})) as manager:
        await manager.execute("a", "select 1")

        def use() -> str:
            asyncio.events._set_running_loop(None)
            return str(asyncio.new_event_loop().run_until_complete(manager.acquire("a")))

        assert in_child(use).startswith("ManagerClosed: the manager is of the parent process")
        assert (await manager.execute("a", "select 1")).fetchone() == (1,)
