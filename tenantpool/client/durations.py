"""Seconds, as the wire says them."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration


def set_seconds(duration: Duration, value: float) -> None:
    """Make *duration* *value* seconds long."""
    whole = int(value)
    duration.seconds = whole
    duration.nanos = int((value - whole) * 1e9)


def seconds(duration: Duration) -> float:
    """How long *duration* is."""
    return float(duration.seconds + duration.nanos / 1e9)
