"""Overrides on disk: complete or as before, and readable by the service alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tenantpool.config.overrides import Override, Overrides
from tenantpool.errors import ConfigError
from tenantpool.service.override_store import OverrideStore, state_folder

from .support import settings

ONE = Override("acme", "pro", None, 2e9, "local", "launch", 1e9, "abc123")

Open = Callable[[Path | None, str], OverrideStore]


@pytest.fixture
def store_of() -> Iterator[Open]:
    """Opens stores; they end with the test."""
    with ExitStack() as stack:

        def make(folder: Path | None, name: str) -> OverrideStore:
            store = OverrideStore(folder, name)
            stack.callback(store.release)
            return store

        yield make


def test_what_was_saved_is_loaded(store_of: Open, tmp_path: Path) -> None:
    store = store_of(tmp_path / "state", "db1")
    assert store.load() == {}
    store.save(Overrides([ONE]))
    assert store_of(tmp_path / "state", "db1").load() == {"abc123": ONE}
    assert store_of(tmp_path / "state", "db2").load() == {}
    store.save(Overrides.NONE)
    assert store.load() == {}


def test_nobody_else_may_read_it(store_of: Open, tmp_path: Path) -> None:
    store = store_of(tmp_path / "state", "db1")
    store.save(Overrides([ONE]))
    assert store.path is not None
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


def test_a_crash_in_the_middle_leaves_those_before(
    store_of: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path, "db1")
    store.save(Overrides([ONE]))

    def crash(number: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(KeyboardInterrupt):
            store.save(Overrides.NONE)
    assert store.load() == {"abc123": ONE}
    store.save(Overrides.NONE)
    assert store.load() == {}


def test_a_file_that_is_damaged_names_itself_and_the_fix(store_of: Open, tmp_path: Path) -> None:
    store = store_of(tmp_path, "db1")
    assert store.path is not None
    store.path.write_text("[{")
    with pytest.raises(ConfigError, match=r"db1.overrides.json: does not hold overrides") as caught:
        store.load()
    assert "move it away" in caught.value.fix


def test_a_folder_that_cannot_be_made_is_named(store_of: Open, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"service.state: .*/file/state cannot be written"):
        store_of(tmp_path / "file" / "state", "db1").save(Overrides([ONE]))


def test_without_a_folder_nothing_is_kept(store_of: Open) -> None:
    store = store_of(None, "db1")
    store.save(Overrides([ONE]))
    assert store.load() == {}


def test_the_folder_is_where_the_system_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    auto = settings().service
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert state_folder(auto) == Path("/xdg/tenantpool")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two")
    assert state_folder(auto) == Path("/var/lib/one")
    assert state_folder(settings({"state": "/named"}).service) == Path("/named")
    assert state_folder(settings({"state": None}).service) is None
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert state_folder(auto) == Path("/var/lib/tenantpool")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", "/home/me")
    assert state_folder(auto) == Path("/home/me/.local/state/tenantpool")


def test_one_service_has_the_file_from_its_first_word_on(store_of: Open, tmp_path: Path) -> None:
    first, second = store_of(tmp_path, "db1"), store_of(tmp_path, "db1")
    second.claim()  # there is nothing to claim
    first.save(Overrides([ONE]))
    for take in (second.claim, lambda: second.save(Overrides.NONE)):
        with pytest.raises(ConfigError, match="belongs to another service that runs") as caught:
            take()
        assert "service.name" in caught.value.fix
    first.release()
    second.claim()
    second.save(Overrides.NONE)
    second.release()
