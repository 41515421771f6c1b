"""Slows down whoever tries tokens."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

_FIRST = 0.5
_LONGEST = 10.0
_MOST = 10_000


@dataclass(slots=True)
class _Record:
    failures: int = 0
    free_at: float = 0.0


class Throttle:
    """After a failure an address has to wait: half a second, then twice as long each time.

    *now* is any steady clock, in seconds.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._records)} addresses>"

    def wait(self, now: float, address: str) -> float:
        """Seconds until *address* may try again; 0.0: now."""
        record = self._records.get(address)
        return max(0.0, record.free_at - now) if record is not None else 0.0

    def failed(self, now: float, address: str) -> None:
        """Note a failure."""
        record = self._records.setdefault(address, _Record())
        self._records.move_to_end(address)
        record.failures += 1
        record.free_at = now + min(_LONGEST, _FIRST * 2.0 ** min(record.failures - 1, 10))
        if len(self._records) > _MOST:
            self._records.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of *address*."""
        self._records.pop(address, None)
