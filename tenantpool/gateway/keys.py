"""Virtual cancel keys: what a client sends to cancel, and whom it means at this moment."""

from __future__ import annotations

import secrets
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")

Key = tuple[int, int]
"""Process id and secret, as in BackendKeyData."""

_PIDS = 1 << 31


class CancelKeys(Generic[T]):
    """Keys that mean something only while they are bound.

    A client keeps its key for as long as its connection lives, while the backend behind it may
    change: so the key is ours, and a cancel that comes late hits nobody.
    """

    def __init__(self) -> None:
        self._pids = count(1)
        self._keys: dict[int, tuple[int, T | None]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._keys)} issued>"

    def issue(self) -> Key:
        """A new key, bound to nothing."""
        pid = next(pid for n in self._pids if (pid := n % _PIDS) and pid not in self._keys)
        secret = secrets.randbits(32)
        self._keys[pid] = (secret, None)
        return pid, secret

    def bind(self, key: Key, target: T) -> None:
        """From now on it means *target*."""
        self._keys[key[0]] = (key[1], target)

    def unbind(self, key: Key) -> None:
        """It means nothing, until it is bound again. A key that was revoked stays so."""
        if key[0] in self._keys:
            self._keys[key[0]] = (key[1], None)

    def revoke(self, key: Key) -> None:
        """It will never mean anything again."""
        self._keys.pop(key[0], None)

    def find(self, pid: int, secret: int) -> T | None:
        """What the key means; None: nothing, or it is wrong. Takes no hint from timing."""
        known, target = self._keys.get(pid, (0, None))
        right = secrets.compare_digest(known.to_bytes(4, "big"), secret.to_bytes(4, "big"))
        return target if right else None
