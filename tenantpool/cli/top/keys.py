"""The keyboard of a terminal, key by key."""

from __future__ import annotations

import codecs
import os
import re
import termios
import tty
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

UP: Final = "up"
DOWN: Final = "down"
PAGE_UP: Final = "page up"
PAGE_DOWN: Final = "page down"
HOME: Final = "home"
END: Final = "end"
ENTER: Final = "enter"
ESCAPE: Final = "escape"
BACKSPACE: Final = "backspace"

_NAMES: Final = {
    "\n": ENTER,
    "\r": ENTER,
    "\x1b": ESCAPE,
    "\x7f": BACKSPACE,
    "\b": BACKSPACE,
    "A": UP,
    "B": DOWN,
    "H": HOME,
    "F": END,
    "1~": HOME,
    "4~": END,
    "5~": PAGE_UP,
    "6~": PAGE_DOWN,
    "7~": HOME,
    "8~": END,
}
_KEY = re.compile(r"\x1b[\[O](?P<code>[0-9;]*[A-Za-z~])|(?P<plain>.)", re.DOTALL)
"""Terminals send a sequence in one piece, so an escape by itself is the key of that name."""

_CONTROL = 6
"""Where termios keeps the control characters."""


def keys_in(text: str) -> Iterator[str]:
    """The keys that a terminal means by *text*: a character, or a name; others are left out."""
    for match in _KEY.finditer(text):
        plain = match["plain"]
        name = _NAMES.get(plain or match["code"])
        if name is not None:
            yield name
        elif plain is not None:
            yield plain


class Keyboard:
    """Reads keys as they are pressed, and does not show them; ends with the block."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} on {self.fd}>"

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self.fd)
        tty.setcbreak(self.fd)
        modes = termios.tcgetattr(self.fd)
        # Stopped, it would leave its screen behind.
        modes[_CONTROL][termios.VSUSP] = b"\0"
        termios.tcsetattr(self.fd, termios.TCSANOW, modes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        termios.tcsetattr(self.fd, termios.TCSAFLUSH, self._before)

    def read(self) -> Iterator[str]:
        """The keys that were pressed. Blocks until there is one. Raises EOFError at the end."""
        data = os.read(self.fd, 1024)
        if not data:
            raise EOFError("the terminal is gone")
        yield from keys_in(self._decoder.decode(data))
