"""What the buckets of a histogram say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenantpool.core.tally import BOUNDS, Tally


def waits_of(tally: Tally) -> list[int]:
    """The waits of all leases, by bucket: those that did not wait are in the first."""
    counts = list(tally.waits.counts)
    counts[0] += max(0, tally.leases - sum(counts))
    return counts


def added(many: Iterable[Sequence[int]]) -> list[int]:
    """Counts of the same buckets, put together."""
    return [sum(column) for column in zip(*many, strict=True)] or [0] * (len(BOUNDS) + 1)


def quantile(q: float, counts: Sequence[int]) -> float | None:
    """The seconds that the fraction *q* did not exceed; None if there is nothing.

    Spread evenly inside a bucket, as Prometheus' histogram_quantile does it; what is beyond the
    last bound counts as that.
    """
    rank = q * sum(counts)
    if not rank:
        return None
    below, start = 0, 0.0
    for count, end in zip(counts, BOUNDS, strict=False):
        if count and below + count >= rank:
            return start + (end - start) * (rank - below) / count
        below, start = below + count, end
    return BOUNDS[-1]
