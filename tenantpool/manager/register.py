"""Which backends a manager has, in a file, so that a successor knows them after a crash.

A mark in ``application_name`` tells that, too, but whoever uses a session can change it. A number
alone would not do, as it may be another's by then: so each is kept with the time it was born.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock

from tenantpool.journal import report

_SPARE = 500
"""Lines that may say nothing any more, besides as many as do: then the file is written anew."""

_Key = tuple[str, int]
"""The database, and the backend's number there."""


class Register:
    """A file at *path*: lines ``[database, pid, born]``, and ``[database, pid]`` for an end.

    It outlives a crash of the process, not one of the machine. Nothing here raises: what can't be
    written is told in the log, once, and the mark has to do. May be used by several threads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._file = -1
        self._lines = 0
        self._ours: dict[_Key, float] = {}
        self._left: dict[_Key, float] = {}

    def __repr__(self) -> str:
        counts = f"{len(self._ours)} backends, {len(self._left)} of a predecessor"
        return f"<{type(self).__name__} {self._path}: {counts}>"

    def open(self) -> None:
        """Read what a predecessor has left, and go on with the file."""
        with self._lock:
            with suppress(OSError):
                self._left = _read(self._path.read_bytes())
            self._rewrite()

    def close(self) -> None:
        """The manager has closed: leave what has not ended all the same, or no file."""
        with self._lock:
            if self._file >= 0 and not (self._left or self._ours):
                self._path.unlink(missing_ok=True)
            self._let_go()

    def disown(self) -> None:
        """This process is a fork: the file is the parent's."""
        self._lock = Lock()
        self._let_go()

    def left(self, database: str) -> dict[int, float]:
        """A predecessor's backends, and when they were born, in seconds since 1970."""
        with self._lock:
            return {pid: born for (where, pid), born in self._left.items() if where == database}

    def forget_left(self, database: str) -> None:
        """Nothing of a predecessor is left there."""
        with self._lock:
            if gone := [key for key in self._left if key[0] == database]:
                for key in gone:
                    del self._left[key]
                self._rewrite()

    def add(self, database: str, pid: int, age: float) -> None:
        """There is a backend, for *age* seconds."""
        key, born = (database, pid), time.time() - age
        with self._lock:
            self._left.pop(key, None)  # its number is another's now
            self._ours[key] = born
            self._write([*key, born])

    def drop(self, database: str, pid: int) -> None:
        """It has ended."""
        with self._lock:
            if self._ours.pop((database, pid), None) is not None:
                self._write([database, pid])

    # -- the file ------------------------------------------------------------------------------

    def _write(self, line: list[object]) -> None:
        if self._file < 0:
            return
        self._lines += 1
        if self._lines > _SPARE + 2 * (len(self._ours) + len(self._left)):
            self._rewrite()
            return
        try:
            os.write(self._file, _encode(line))
        except OSError as error:
            self._give_up(error)

    def _rewrite(self) -> None:
        """Only what is there: a crash leaves this or the file before."""
        there = {**self._left, **self._ours}
        new = self._path.with_name(f"{self._path.name}.new")
        self._let_go()
        try:
            self._file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.write(self._file, b"".join(_encode([*key, born]) for key, born in there.items()))
            new.replace(self._path)
        except OSError as error:
            self._give_up(error)
        self._lines = len(there)

    def _give_up(self, error: OSError) -> None:
        self._let_go()
        report(logging.WARNING, "backends not written down", path=self._path, error=error)

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _encode(line: list[object]) -> bytes:
    return json.dumps(line).encode() + b"\n"


def _read(text: bytes) -> dict[_Key, float]:
    """What is there after all lines; of one that was not finished nothing is known."""
    there: dict[_Key, float] = {}
    for line in text.splitlines():
        try:
            database, pid, *born = json.loads(line)
            key = (str(database), int(pid))
            there.pop(key, None)
            if born:
                there[key] = float(born[0])
        except (ValueError, TypeError):
            continue
    return there
