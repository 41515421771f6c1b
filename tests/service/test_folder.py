"""The folder of the sockets belongs to one service, and to nobody who has no business there."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tenantpool.errors import ConfigError
from tenantpool.service.folder import Folder


def test_it_is_made_for_the_user_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "run" / "tenantpool")
    folder.claim()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.release()


def test_two_services_cannot_share_it(tmp_path: Path) -> None:
    first, second = Folder(tmp_path / "f"), Folder(tmp_path / "f")
    first.claim()
    with pytest.raises(ConfigError, match="another service runs in"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_sockets_of_a_crashed_service_are_removed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.mkdir(mode=0o700)
    (path / "notes.txt").write_text("keep me")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path / "grpc.sock"))
    folder = Folder(path)
    folder.claim()
    assert sorted(entry.name for entry in path.iterdir()) == ["notes.txt", "tenantpool.lock"]
    folder.release()


def test_a_folder_that_is_open_to_everybody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.mkdir()
    os.chmod(path, 0o755)
    with pytest.raises(ConfigError, match="open to everybody; chmod o-rwx"):
        Folder(path).claim()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(ConfigError, match="cannot be used: File exists"):
        Folder(tmp_path / "f").claim()


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 30)
    with pytest.raises(ConfigError, match="too long for a Unix socket; shorten it"):
        Folder(path).claim()
    assert not path.exists()
