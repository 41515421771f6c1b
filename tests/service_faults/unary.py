"""Leases by unary calls: what a worker in any language does."""

from __future__ import annotations

from typing import Any

import grpc
from google.rpc.status_pb2 import Status

from tenantpool.status import from_status
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, LeaseRef, ReleaseLeaseRequest
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceStub
from tests.service_faults.house import TOKEN


class DeadlineExceeded(Exception):
    """There was no answer in time."""


class Calls:
    """Makes them at *target*."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.insecure_channel(target)
        self._stub: Any = LeaseServiceStub(self._channel)  # type: ignore[no-untyped-call]
        self._metadata = (("authorization", f"Bearer {TOKEN}"),)

    def acquire(
        self, tenant: str, request_id: str, timeout: float, **fields: Any
    ) -> dict[str, str]:
        """The lease, and how to reach it; blocks for *timeout* seconds at most."""
        request = AcquireLeaseRequest(tenant=tenant, request_id=request_id, **fields)
        lease = self._call(self._stub.AcquireLease, request, timeout).lease
        way = lease.gateway
        return {
            "lease_id": lease.lease_id,
            "user": way.user,
            "ticket": way.ticket,
            "dbname": way.dbname,
        }

    def release(self, lease_id: str) -> None:
        """Give it back."""
        request = ReleaseLeaseRequest(lease=LeaseRef(lease_id=lease_id))
        self._call(self._stub.ReleaseLease, request, 10)

    def _call(self, method: Any, request: object, timeout: float) -> Any:
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            trailers: Any = error
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise DeadlineExceeded from None
            details = dict(trailers.trailing_metadata()).get("grpc-status-details-bin")
            raise from_status(Status.FromString(details)) if details else error from None

    def close(self) -> None:
        """Hang up."""
        self._channel.close()
