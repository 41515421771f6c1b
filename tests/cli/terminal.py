"""A terminal of our own: sends keys to a program, and reads its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Sequence
from time import monotonic
from types import TracebackType
from typing import Self

import pyte

from tests.cli.serving import LONGEST, ROOT


class Terminal:
    """Runs *command*; ended, if it still runs, with the block."""

    def __init__(
        self, command: Sequence[str], environ: dict[str, str], columns: int = 120, lines: int = 30
    ) -> None:
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.seen = b""
        """All that it has ever written."""
        self._fd, theirs = pty.openpty()
        self._set_size(columns, lines)
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**environ, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait(LONGEST)
        os.close(self._theirs)
        os.close(self._fd)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def modes(self) -> list[object]:
        """How the terminal is set, as ``before`` has it of the start."""
        return termios.tcgetattr(self._theirs)

    def send(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._set_size(columns, lines)

    def wait_for(self, *words: str, gone: Sequence[str] = ()) -> None:
        """Blocks until the screen shows all *words*, and nothing of what must be *gone*."""
        deadline = monotonic() + LONGEST
        while not (
            all(word in self.text for word in words) and not any(word in self.text for word in gone)
        ):
            assert monotonic() < deadline, f"{words} / {gone} not on the screen:\n{self.text}"
            self._read(0.1)

    def wait(self) -> int:
        """Blocks until it has ended; return its exit code."""
        deadline = monotonic() + LONGEST
        while self._process.poll() is None:
            assert monotonic() < deadline, f"it has not ended:\n{self.text}"
            self._read(0.05)
        self._read(0.0)
        return self._process.returncode

    def _read(self, timeout: float) -> None:
        while select.select([self._fd], [], [], timeout)[0]:
            data = os.read(self._fd, 65536)
            self.seen += data
            self._stream.feed(data)
            timeout = 0.0

    def _set_size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
