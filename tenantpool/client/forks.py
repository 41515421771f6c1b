"""A client in a child process: what it inherited is the parent's, and it may begin anew."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """What has to be told that it is in a child process now."""

    def _disown(self) -> None: ...


_watched: WeakSet[Forkable] = WeakSet()


def watch(client: Forkable) -> None:
    """Have *client* told in every child process."""
    _watched.add(client)


def _disown_all() -> None:
    for client in _watched:
        client._disown()


os.register_at_fork(after_in_child=_disown_all)
