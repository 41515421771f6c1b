"""Changes of the configuration on disk, as editors, deployments and Kubernetes make them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenantpool.service.watcher import Files, Watcher
from tests.support.wait import wait_until_async


class Eye:
    """A watcher, and how often it saw a change."""

    def __init__(self, *paths: Path | None, interval: float = 1.0) -> None:
        self.seen = 0
        self.texts: list[str] = []
        self._path = paths[0]
        self.watcher = Watcher(Files(*paths), self._see, interval)

    async def _see(self) -> None:
        self.seen += 1
        if self._path is not None and self._path.is_file():
            self.texts.append(self._path.read_text())

    async def look(self) -> bool:
        return await self.watcher.look()


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantpool.service.watcher._SETTLE", 0.02)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "t.yaml"
    path.write_text("one")
    return path


def swap(volume: Path, number: int, **files: str) -> None:
    """Publish *files* as the kubelet does: a new folder, and one link that is replaced."""
    folder = volume / f"..2026_{number}"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    (volume / "..data_tmp").symlink_to(folder.name)
    os.replace(volume / "..data_tmp", volume / "..data")
    for name in files:
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(Path("..data", name))


async def test_nothing_is_seen_while_nothing_changes(file: Path, tmp_path: Path) -> None:
    eye = Eye(file, tmp_path, None)
    assert not await eye.look()
    assert eye.seen == 0


async def test_an_edit_in_place_is_seen_once(file: Path) -> None:
    eye = Eye(file)
    file.write_text("two")
    assert await eye.look()
    assert not await eye.look()
    assert eye.texts == ["two"]


async def test_a_file_that_takes_the_place_of_another_is_seen(file: Path) -> None:
    eye = Eye(file)
    before = file.stat()
    new = file.with_suffix(".new")
    new.write_text("two")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))  # as an archive unpacks it
    new.replace(file)
    assert await eye.look()
    assert eye.texts == ["two"]


async def test_a_config_map_is_seen_when_its_link_is_swapped(tmp_path: Path) -> None:
    swap(tmp_path, 1, config="one")
    eye = Eye(tmp_path / "config")
    swap(tmp_path, 2, config="two")
    assert await eye.look()
    assert eye.texts == ["two"]


async def test_a_secret_that_is_swapped_added_or_removed_is_seen(
    file: Path, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    swap(secrets, 1, password="geheim")
    eye = Eye(file, secrets)
    swap(secrets, 2, password="anders")
    assert await eye.look()
    swap(secrets, 3, password="anders", another="x")
    assert await eye.look()
    (secrets / "another").unlink()
    assert await eye.look()
    assert eye.seen == 3


async def test_a_hidden_file_beside_the_secrets_does_not_count(tmp_path: Path) -> None:
    eye = Eye(tmp_path)
    (tmp_path / ".swp").write_text("an editor's")
    assert not await eye.look()


async def test_a_file_that_is_gone_and_one_that_comes_back_are_seen(file: Path) -> None:
    eye = Eye(file)
    file.unlink()
    assert await eye.look()
    file.write_text("three")
    assert await eye.look()
    assert eye.texts == ["three"]


async def test_a_file_is_read_when_its_writer_is_done(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eye = Eye(file)
    parts = iter(["databases:", "  main:", "    capacity: 5"])
    look = eye.watcher._look

    async def write_between_looks() -> tuple[object, ...]:
        if part := next(parts, ""):
            with file.open("a") as writer:
                writer.write(part)
        return await look()

    monkeypatch.setattr(eye.watcher, "_look", write_between_looks)
    assert await eye.look()
    assert eye.texts == ["onedatabases:  main:    capacity: 5"]


async def test_a_file_that_never_holds_still_is_read_all_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantpool.service.watcher._LONGEST_UNREST", 3)
    eye = Eye(file)
    look = eye.watcher._look

    async def write_between_looks() -> tuple[object, ...]:
        file.write_text(file.read_text() + "!")
        return await look()

    monkeypatch.setattr(eye.watcher, "_look", write_between_looks)
    assert await eye.look()


async def test_what_changed_between_reading_and_watching_is_seen(file: Path) -> None:
    files = Files(file)
    seen = tuple(files.look())
    file.write_text("changed meanwhile")
    calls: list[str] = []

    async def changed() -> None:
        calls.append(file.read_text())

    assert await Watcher(files, changed, seen=seen).look()
    assert calls == ["changed meanwhile"]


async def test_it_watches_by_itself_and_survives_a_failure(file: Path) -> None:
    calls = 0

    async def fail_at_first() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("no")

    watcher = Watcher(Files(file), fail_at_first, interval=0.01)
    watcher.start()
    try:
        file.write_text("two!")
        await wait_until_async(lambda: calls == 1)
        file.write_text("three!")
        await wait_until_async(lambda: calls == 2)
    finally:
        await watcher.stop()
    file.write_text("four, unseen")
    assert calls == 2
