"""Circuit breakers around connects.

closed ──(too many failures)──▶ open ──(back-off over, one probe)──▶ half-open
  ▲                              ▲                                      │
  │                              └───(probe failed: back-off doubles)───┤
  └──────────────────────────────────(probe succeeded)──────────────────┘
"""

from __future__ import annotations

from math import inf
from typing import Final

from .limits import BreakerLimits

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"


class Breaker:
    """Stops connects that are bound to fail, and looks again with one probe at a time.

    It guards connects only: open connections go on being lent while it is open.
    """

    __slots__ = (
        "_backoff",
        "_failed",
        "_in_a_row",
        "_outcomes",
        "error",
        "limits",
        "retry_at",
        "state",
    )

    def __init__(self, limits: BreakerLimits) -> None:
        self.limits = limits
        self.state = CLOSED
        self.retry_at = -inf
        """While open: when the next probe is allowed."""
        self.error: BaseException | None = None
        """The last failure."""
        self._in_a_row = 0
        self._outcomes: list[bool] = []
        self._failed = 0
        self._backoff = limits.backoff

    def __repr__(self) -> str:
        return f"<Breaker {self.state}, {self._in_a_row} failures in a row>"

    def adopt(self, limits: BreakerLimits) -> None:
        """Go on in the same state under other limits; a back-off that runs is not cut short."""
        if limits == self.limits:
            return
        self.limits = limits
        for failed in self._outcomes[: -limits.window]:
            self._failed -= failed
        self._outcomes = self._outcomes[-limits.window :]
        self._backoff = min(max(self._backoff, limits.backoff), limits.backoff_max)
        if self.state == CLOSED:
            self._backoff = limits.backoff

    def is_over(self, now: float) -> bool:
        """Its longest back-off has passed since it last opened: it may be forgotten."""
        return now > self.retry_at + self.limits.backoff_max

    def allows(self, now: float) -> bool:
        """Whether a connect may start now (when not closed, it would be the probe)."""
        return self.state == CLOSED or (self.state == OPEN and now >= self.retry_at)

    def begin(self) -> None:
        """A connect that was allowed starts."""
        if self.state == OPEN:
            self.state = HALF_OPEN

    def success(self) -> None:
        """A connect succeeded."""
        self.error = None
        self._in_a_row = 0
        self._note(failed=False)
        if self.state != CLOSED:
            self.state = CLOSED
            self._outcomes.clear()
            self._failed = 0
        self._backoff = self.limits.backoff

    def failure(self, now: float, error: BaseException) -> bool:
        """A connect failed. Return whether this opened the breaker."""
        self.error = error
        self._in_a_row += 1
        self._note(failed=True)
        if self.state == HALF_OPEN:
            self._backoff = min(self._backoff * 2, self.limits.backoff_max)
        elif self.state == OPEN or not self._too_many():
            return False
        self.state = OPEN
        self.retry_at = now + self._backoff
        return True

    def abandon(self, now: float) -> None:
        """A connect ended without saying anything of what this breaker guards."""
        if self.state == HALF_OPEN:
            self.state = OPEN
            self.retry_at = now

    def _too_many(self) -> bool:
        if self._in_a_row >= self.limits.failures:
            return True
        window = self.limits.window
        return len(self._outcomes) == window and self._failed >= self.limits.failure_rate * window

    def _note(self, *, failed: bool) -> None:
        """Slide the window of the last outcomes by one."""
        self._outcomes.append(failed)
        self._failed += failed
        if len(self._outcomes) > self.limits.window:
            self._failed -= self._outcomes.pop(0)
