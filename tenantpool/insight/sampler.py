"""Which statements' plans are looked at, and how often."""

from __future__ import annotations

import re

_MOST = 1000
_READ = re.compile(r"(?:select|with|values|table)\b", re.IGNORECASE)
_NO_READ = re.compile(
    r";.|\b(?:into|insert|update|delete|merge|share)\b|\bnextval\b|\bset_config\b|\bpg_\w*lock",
    re.IGNORECASE,
)
"""A second statement, a change, or a lock; a column of such a name is taken for one, too."""


def is_read(shape: str) -> bool:
    """Whether a statement of this *shape* only reads, as far as its words tell."""
    return _READ.match(shape) is not None and _NO_READ.search(shape) is None


class Sampler:
    """Lets each shape pass once in *interval* seconds. It remembers the latest 1000 of them.

    It has no lock of its own.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._passed: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Sampler of {len(self._passed)} shapes, each once in {self._interval:g} s>"

    def passes(self, shape: str, now: float) -> bool:
        """Whether it is this *shape*'s turn; then it is not again for a while."""
        last = self._passed.pop(shape, None)
        is_due = last is None or now - last >= self._interval
        self._passed[shape] = now if last is None or is_due else last
        if len(self._passed) > _MOST:
            del self._passed[next(iter(self._passed))]
        return is_due
