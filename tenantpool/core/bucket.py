"""A token bucket: so many leases per second on average, so many at once."""

from __future__ import annotations


class TokenBucket:
    """Holds up to *burst* tokens and gains *rate* of them per second; starts full."""

    __slots__ = ("_tokens", "_updated", "burst", "rate")

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._updated = now

    def __repr__(self) -> str:
        return f"<TokenBucket {self._tokens:.1f} of {self.burst}, {self.rate:g}/s>"

    def adopt(self, now: float, rate: float, burst: int) -> None:
        """Take over other limits; it stays as full as it is, in proportion."""
        self._refill(now)
        self._tokens *= burst / self.burst
        self.rate, self.burst = rate, burst

    def take(self, now: float) -> float:
        """Take a token. Return 0.0, or if there is none, the seconds until there will be one."""
        self._refill(now)
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / self.rate
        self._tokens -= 1.0
        return 0.0

    def _refill(self, now: float) -> None:
        self._tokens = min(self.burst, self._tokens + (now - self._updated) * self.rate)
        self._updated = now
