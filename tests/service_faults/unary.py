"""Leases by unary calls: what a worker in any language does."""

from __future__ import annotations

from typing import Any

import grpc

from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, LeaseRef, ReleaseLeaseRequest
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceStub
from tests.service_faults.house import TOKEN


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
        answer = self._stub.AcquireLease(request, timeout=timeout, metadata=self._metadata)
        lease = answer.lease
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
        self._stub.ReleaseLease(request, timeout=10, metadata=self._metadata)

    def close(self) -> None:
        """Hang up."""
        self._channel.close()
