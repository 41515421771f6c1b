"""Computing beside the event loop, without keeping it waiting."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_SHORT = 0.0005
"""Seconds for which a thread may keep the others waiting; Python's default is ten times as long."""

_lock = Lock()
_usual: list[float] = []
"""What it was for each that is inside; the first one's is what it is to be again."""


@contextmanager
def short_turns() -> Iterator[None]:
    """Let the event loop have its turn soon while another thread computes."""
    with _lock:
        _usual.append(_usual[0] if _usual else sys.getswitchinterval())
        sys.setswitchinterval(min(_usual[0], _SHORT))
    try:
        yield
    finally:
        with _lock:
            usual = _usual.pop()
            if not _usual:
                sys.setswitchinterval(usual)
