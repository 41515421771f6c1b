"""The service's process sets aside what stays; nobody else's does."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenantpool import Manager
from tenantpool.cli import garbage as module
from tenantpool.cli.garbage import Garbage
from tenantpool.embedded import EmbeddedPostgres
from tests.cli.conftest import Serve
from tests.observe.support import serving, settings
from tests.support.servers import on_latest
from tests.support.wait import wait_until, wait_until_async

WITNESS = """
import gc, os, threading, time
def look():
    while not gc.get_freeze_count():
        time.sleep(0.01)
    with open(os.environ["WITNESS"], "w") as file:
        file.write("set aside")
threading.Thread(target=look, daemon=True).start()
"""


class Cycle:
    """Garbage that only a collection finds, once nobody knows it any more."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    garbage = Garbage()
    garbage.begin()
    yield garbage
    garbage.end()


def test_what_is_there_at_the_start_and_what_survives_is_not_looked_at_again(
    garbage: Garbage,
) -> None:
    assert gc.get_freeze_count() > 10_000
    kept = [Cycle() for _ in range(100)]
    assert any(one is kept[0] for one in gc.get_objects())
    gc.collect()
    assert not any(one is kept[0] for one in gc.get_objects())
    assert repr(garbage) == f"<Garbage {gc.get_freeze_count()} objects set aside>"


def test_what_was_set_aside_and_is_garbage_now_is_found_by_looking_through(
    garbage: Garbage,
) -> None:
    cycle = Cycle()
    gc.collect()
    seen = weakref.ref(cycle)
    del cycle
    gc.collect()
    assert seen() is not None
    assert garbage.look_through() >= 1
    assert seen() is None


async def test_it_looks_through_everything_when_there_is_a_quarter_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_REST", 0.001)
    garbage = Garbage()
    running = asyncio.create_task(garbage.run())
    try:
        await wait_until_async(lambda: gc.get_freeze_count() > 0)
        cycle = Cycle()
        gc.collect()
        seen = weakref.ref(cycle)
        del cycle
        few: list[object] = [[] for _ in range(gc.get_freeze_count() // 10)]
        gc.collect()
        await asyncio.sleep(0.05)
        assert seen() is not None
        many: list[object] = [[] for _ in range(gc.get_freeze_count() // 4)]
        gc.collect()
        await wait_until_async(lambda: seen() is None)
        del few, many
    finally:
        running.cancel()
        await asyncio.wait({running})


def test_all_is_as_before_in_the_end() -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    garbage = Garbage()
    garbage.begin()
    assert gc.get_threshold()[2] < before[0][2] or not before[0][2]
    garbage.end()
    assert (gc.get_threshold(), gc.callbacks) == before
    assert gc.get_freeze_count() == 0


@on_latest
async def test_a_manager_and_a_service_in_somebody_elses_process_leave_its_collector_alone(
    postgres: EmbeddedPostgres, database: str
) -> None:
    before = gc.get_threshold(), list(gc.callbacks)
    made = settings(
        databases={"main": {"conninfo": postgres.dsn(), "capacity": 2}},
        tenants={"acme": {"dbname": database}},
    )
    with Manager(made) as manager:
        manager.execute("acme", "select 1")
    async with serving(made):
        assert (gc.get_threshold(), gc.callbacks) == before
        assert gc.get_freeze_count() == 0


@on_latest
def test_serve_does_so(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITNESS)
    said = tmp_path / "said"
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("WITNESS", str(said))
    service = serve()
    wait_until(said.exists)
    assert service.stop() == 0
