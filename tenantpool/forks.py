"""What a child process inherits is the parent's: two processes would talk over the same sockets."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What has to be told that it is in a child process now."""

    def _disown(self) -> None: ...


_watched: WeakSet[Forkable] = WeakSet()


def watch(owner: Forkable) -> None:
    """Have *owner* told in every child process."""
    _watched.add(owner)


def _disown_all() -> None:
    for owner in _watched:
        owner._disown()


os.register_at_fork(after_in_child=_disown_all)
