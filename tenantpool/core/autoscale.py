"""How many connections a tenant may use, following what it does use.

Ten samples in a row decide. More than a part of them in use, and the cap grows by half; less than
a smaller part, and it shrinks by 30 %. It does not flap:

- samples from before a change say nothing of the cap after it, so each change waits for ten more;
- it only shrinks to where the same use would not make it grow again;
- it does not shrink for a while after it grew: a burst that comes every minute meets the cap that
  the last one made.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import NamedTuple

SAMPLES = 10
"""How many samples decide."""
_GROW = 1.5
_SHRINK = 0.7


@dataclass(frozen=True, slots=True)
class AutoscaleLimits:
    """Between what, how fast and when a tenant's cap follows its use. Durations are in seconds."""

    floor: int
    """The cap never shrinks below this."""
    ceiling: int
    """The cap never grows above this."""
    interval: float = 5.0
    """Time between two samples."""
    up_at: float = 0.8
    """It grows when a larger part of the cap was in use."""
    down_at: float = 0.3
    """It shrinks when a smaller part of the cap was in use."""
    cooldown: float = 300.0
    """It does not shrink for this long after it grew."""


class CapChange(NamedTuple):
    """A change of a cap."""

    old: int
    new: int
    utilisation: float
    """The mean part of the old cap that was in use."""


class Autoscale:
    """The cap of one tenant."""

    __slots__ = ("_may_shrink_at", "_samples", "limits")

    def __init__(self, limits: AutoscaleLimits) -> None:
        self.limits = limits
        self._samples: deque[float] = deque(maxlen=SAMPLES)
        self._may_shrink_at = -inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._samples)} of {SAMPLES} samples>"

    def adopt(self, limits: AutoscaleLimits) -> None:
        """Go on under other limits; samples that were taken at another interval don't count."""
        if limits.interval != self.limits.interval:
            self._samples.clear()
        self.limits = limits

    def note(self, now: float, in_use: float, cap: int, capacity: int) -> CapChange | None:
        """Take a sample; return the change to make, if any.

        *now*: seconds of a steady clock. *in_use*: mean number of connections in use since the
        sample before. *cap*: what is in force. *capacity*: what the database has for all tenants;
        0 if that is not known yet.
        """
        lowest, highest = self._bounds(capacity)
        if not lowest <= cap <= highest:
            return self._change(now, cap, min(max(cap, lowest), highest), in_use)
        self._samples.append(in_use)
        if len(self._samples) < SAMPLES:
            return None
        mean = sum(self._samples) / SAMPLES
        return self._change(now, cap, self._wanted(now, cap, mean, lowest, highest), mean)

    def _bounds(self, capacity: int) -> tuple[int, int]:
        """A cap above what the database has promises nothing; a small database wins over floor."""
        most = capacity or self.limits.ceiling
        return min(self.limits.floor, most), min(self.limits.ceiling, most)

    def _wanted(self, now: float, cap: int, mean: float, lowest: int, highest: int) -> int:
        limits = self.limits
        if mean > limits.up_at * cap:
            return min(highest, ceil(cap * _GROW))
        if mean < limits.down_at * cap and now >= self._may_shrink_at:
            smaller = max(lowest, floor(cap * _SHRINK))
            return smaller if mean <= limits.up_at * smaller else cap
        return cap

    def _change(self, now: float, old: int, new: int, mean: float) -> CapChange | None:
        if new == old:
            return None
        self._samples.clear()
        if new > old:
            self._may_shrink_at = now + self.limits.cooldown
        return CapChange(old, new, mean / old)
