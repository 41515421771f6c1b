"""Seconds, as the wire says them."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

_SLACK = 1.0
"""Seconds by which the service may be late with an answer."""
_DAY = 86400.0


def set_seconds(duration: Duration, value: float) -> None:
    """Make *duration* *value* seconds long."""
    whole = int(value)
    duration.seconds = whole
    duration.nanos = int((value - whole) * 1e9)


def seconds(duration: Duration) -> float:
    """How long *duration* is."""
    return float(duration.seconds + duration.nanos / 1e9)


def patience(timeout: float | None) -> float:
    """Seconds in which a request that may wait for *timeout* of them must have its answer."""
    return _DAY if timeout is None else timeout + _SLACK
