"""How much a pool is needed: a decayed request rate that can be compared without a clock."""

from __future__ import annotations

from math import exp, inf, log1p

TIME_CONSTANT = 2.0
"""Seconds after which a request counts 1/e. ``benchmarks/simulation.py`` was run with it."""


class Demand:
    """An exponentially decayed count of requests, kept as a logarithm.

    All counts decay at one pace, so which of two is the larger never changes while neither gets a
    request. ``score = ln(sum(exp(t_i / T)))`` over the requests at ``t_i`` is that order: it needs
    no update as time goes by, and so it can be the key of a heap ("forward decay", Cormode,
    Shkapenyuk, Srivastava, Xu, ICDE 2009). The logarithm keeps it from overflowing.
    """

    __slots__ = ("score",)

    def __init__(self) -> None:
        self.score = -inf

    def __repr__(self) -> str:
        return f"<Demand {self.score:.3f}>"

    def note(self, now: float) -> None:
        """Count a request at *now* (seconds; must not be before the last one)."""
        newest = now / TIME_CONSTANT
        self.score = newest + log1p(exp(self.score - newest))

    def rate(self, now: float) -> float:
        """Requests per second, as seen from *now*."""
        return exp(self.score - now / TIME_CONSTANT) / TIME_CONSTANT
