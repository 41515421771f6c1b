"""The folder of the service's Unix sockets, which one service has to itself."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from pathlib import Path

from tenantpool.errors import ConfigError

LOCK = "tenantpool.lock"

_PLACE = "service.folder"
_LONGEST_SOCKET_PATH = 107
_LONGEST_NAME = len("/.s.PGSQL.65535")


def default_folder() -> Path:
    """Where the sockets are if nothing else is said: the user's runtime folder, or root's."""
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "tenantpool"
    if os.geteuid() == 0:
        return Path("/run/tenantpool")
    return Path(tempfile.gettempdir()) / f"tenantpool-{os.geteuid()}"


class Folder:
    """A folder that is only this service's, from ``claim`` to ``release``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    def __repr__(self) -> str:
        state = "claimed" if self._lock >= 0 else "not claimed"
        return f"<{type(self).__name__} {self.path} {state}>"

    def claim(self) -> None:
        """Make it, lock it, and remove the sockets that a crashed service left in it.

        Raises ConfigError if it belongs to somebody else, is open to everybody, or is in use.
        """
        self._check_length()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check(self.path.lstat())
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                _PLACE, f"{self.path} cannot be used: {error.strerror}", "name another folder"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise ConfigError(
                _PLACE, f"another service runs in {self.path}", "stop it, or name another folder"
            ) from None
        for entry in self.path.iterdir():
            if stat.S_ISSOCK(entry.lstat().st_mode):
                entry.unlink()

    def check(self) -> None:
        """Raise what ``claim`` would, or FileNotFoundError if it is not there. Changes nothing."""
        self._check_length()
        self._check(self.path.lstat())

    def release(self) -> None:
        """Let another service have it. Does not block; a second time does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _check_length(self) -> None:
        if len(os.fsencode(self.path)) + _LONGEST_NAME > _LONGEST_SOCKET_PATH:
            raise ConfigError(_PLACE, f"{self.path} is too long for a Unix socket", "shorten it")

    def _check(self, found: os.stat_result) -> None:
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(_PLACE, f"{self.path} is not a folder")
        if found.st_uid != os.geteuid():
            raise ConfigError(_PLACE, f"{self.path} belongs to another user", "name another folder")
        if found.st_mode & 0o007:
            raise ConfigError(
                _PLACE, f"{self.path} is open to everybody", f"chmod o-rwx {self.path}"
            )
