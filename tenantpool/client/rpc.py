"""What every call over gRPC needs on the client's side: credentials, metadata, and the errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from google.rpc.status_pb2 import Status

from tenantpool.client.target import TLS, Target
from tenantpool.errors import TenantpoolError
from tenantpool.status import from_status

OPTIONS = [
    # A client that begins anew wants a connection of its own, not one that is in its back-off.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
]


def metadata(target: Target) -> list[tuple[str, str]]:
    """What proves who asks."""
    return [("authorization", f"Bearer {target.token}")] if target.token else []


def credentials(tls: TLS) -> grpc.ChannelCredentials:
    """Read the files anew each time: certificates rotate. Blocks. Raises OSError."""
    ca, key, cert = (
        Path(path).read_bytes() if path else None for path in (tls.ca, tls.key, tls.cert)
    )
    return grpc.ssl_channel_credentials(ca, key, cert)


def from_rpc_error(error: Any) -> TenantpoolError:
    """The error that the service ended the call with, or what gRPC says of the network."""
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            return from_status(Status.FromString(value))
    code = error.code()
    number = code.value[0] if code is not None else grpc.StatusCode.UNAVAILABLE.value[0]
    return from_status(Status(code=number, message=error.details() or "the stream has ended"))
