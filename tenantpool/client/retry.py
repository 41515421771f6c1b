"""What may be asked again: only what the service says may be."""

from __future__ import annotations

from google.rpc import code_pb2
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from tenantpool.client.durations import seconds


def retry_pause(refusal: Status) -> float | None:
    """Seconds to wait before asking again; None: do not ask again.

    Only UNAVAILABLE with a RetryInfo may be asked again. A limit that was met (RESOURCE_EXHAUSTED)
    may not: the request has waited for it already, or there are too many of its kind.
    """
    if refusal.code != code_pb2.UNAVAILABLE:
        return None
    info = RetryInfo()
    for detail in refusal.details:
        if detail.Unpack(info):
            return seconds(info.retry_delay)
    return None
