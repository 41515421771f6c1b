"""What workers import: tenant connections, borrowed from the lease service.

    from tenantpool.client import LeaseClient

    with LeaseClient("unix:/run/tenantpool") as leases:
        with leases.connection("acme", timeout=2) as conn:
            conn.execute("select 1")

gRPC is imported only when it is used: not on the service's own host.
"""

from tenantpool.client._async.client import AsyncLeaseClient
from tenantpool.client._async.lease import AsyncLease
from tenantpool.client._sync.client import LeaseClient
from tenantpool.client._sync.lease import Lease
from tenantpool.client.counters import ClientStats
from tenantpool.client.notices import Drain
from tenantpool.client.target import TLS

__all__ = [
    "TLS",
    "AsyncLease",
    "AsyncLeaseClient",
    "ClientStats",
    "Drain",
    "Lease",
    "LeaseClient",
]
