"""Overrides on disk: complete or as before, and readable by the service alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenantpool.config.overrides import Override, Overrides
from tenantpool.errors import ConfigError
from tenantpool.service.override_store import OverrideStore, state_folder

from .support import settings

ONE = Override("acme", "pro", None, 2e9, "local", "launch", 1e9, "abc123")


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    store = OverrideStore(tmp_path / "state", "db1")
    assert store.load() == {}
    store.save(Overrides([ONE]))
    assert OverrideStore(tmp_path / "state", "db1").load() == {"abc123": ONE}
    assert OverrideStore(tmp_path / "state", "db2").load() == {}
    store.save(Overrides.NONE)
    assert store.load() == {}


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    store = OverrideStore(tmp_path / "state", "db1")
    store.save(Overrides([ONE]))
    assert store.path is not None
    assert store.path.stat().st_mode & 0o077 == 0
    assert store.path.parent.stat().st_mode & 0o077 == 0


def test_a_crash_in_the_middle_leaves_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OverrideStore(tmp_path, "db1")
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


def test_a_file_that_is_damaged_names_itself_and_the_fix(tmp_path: Path) -> None:
    store = OverrideStore(tmp_path, "db1")
    assert store.path is not None
    store.path.write_text("[{")
    with pytest.raises(ConfigError, match=r"db1.overrides.json: does not hold overrides") as caught:
        store.load()
    assert "move it away" in caught.value.fix


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"service.state: .*/file/state cannot be written"):
        OverrideStore(tmp_path / "file" / "state", "db1").save(Overrides([ONE]))


def test_without_a_folder_nothing_is_kept() -> None:
    store = OverrideStore(None, "db1")
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
