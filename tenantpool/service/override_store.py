"""Keeps the overrides on disk, so that they survive a restart."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from tenantpool.config.overrides import Overrides
from tenantpool.config.service import AUTO, Service
from tenantpool.errors import ConfigError

_PLACE = "service.state"


def state_folder(rules: Service) -> Path | None:
    """Where the service keeps what must survive a restart; None: nowhere."""
    if rules.state != AUTO:
        return Path(rules.state) if rules.state is not None else None
    if states := os.environ.get("STATE_DIRECTORY"):
        return Path(states.split(":")[0])  # systemd lists all that the unit names
    if home := os.environ.get("XDG_STATE_HOME"):
        return Path(home) / "tenantpool"
    if os.geteuid() == 0:
        return Path("/var/lib/tenantpool")
    return Path.home() / ".local" / "state" / "tenantpool"


class OverrideStore:
    """A JSON file in *folder*, which is made when there is something to keep; None: keeps nothing.

    *name* is the service's, as several may share a folder. The file belongs to one service, from
    ``claim`` (if there is one) or the first ``save`` to ``release``. Everything here blocks.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self.path = folder / f"{name}.overrides.json" if folder is not None else None
        self._lock = -1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path or 'in memory only'}>"

    def load(self) -> Overrides:
        """What was saved last. Raises ConfigError if that cannot be read."""
        if self.path is None:
            return Overrides.NONE
        try:
            return Overrides.from_json(self.path.read_bytes())
        except FileNotFoundError:
            return Overrides.NONE
        except OSError as error:
            raise ConfigError(str(self.path), f"cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(
                str(self.path),
                f"does not hold overrides: {error}",
                "repair it, or move it away to go on without them",
            ) from None

    def claim(self) -> None:
        """Keep other services away from what is there. Raises ConfigError if one has it."""
        if self.path is not None and self.path.exists():
            with suppress(OSError):  # where nothing can be written, nobody else writes
                self._claim(self.path)

    def save(self, overrides: Overrides) -> None:
        """Keep exactly these. A crash leaves these or those before. Raises ConfigError."""
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._claim(self.path)
            self._replace(self.path, overrides.to_json().encode())
        except OSError as error:
            raise ConfigError(
                _PLACE,
                f"{error.filename or self.path} cannot be written: {error.strerror}",
                "name another folder",
            ) from None

    def release(self) -> None:
        """Let another service have the file. A second time does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _claim(self, path: Path) -> None:
        """Raises ConfigError if another service has it, and OSError."""
        if self._lock >= 0:
            return
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise ConfigError(
                str(path),
                "belongs to another service that runs",
                "give one of them another service.name or service.state",
            ) from None
        self._lock = lock

    def _replace(self, path: Path, text: bytes) -> None:
        new = path.with_suffix(".new")
        with open(new, "wb", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync(path.parent)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)


def _sync(folder: Path) -> None:
    """The new name is on disk only when its folder is."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
