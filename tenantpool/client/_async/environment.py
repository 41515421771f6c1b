"""Leases for programs that know nothing of them: the environment variables of libpq."""

from __future__ import annotations

from tenantpool.client.durations import patience, set_seconds
from tenantpool.client.frames import refund
from tenantpool.status import from_status
from tenantpool.v1.lease_pb2 import DELIVERY_GATEWAY
from tenantpool.v1.session_pb2 import SessionRequest

from .session import AsyncSession

_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "gssencmode": "PGGSSENCMODE",
}


async def environment(session: AsyncSession, tenant: str, timeout: float | None) -> dict[str, str]:
    """Take a lease that the first connection will use, and say how to connect.

    The session's pass is the password: it takes a further lease for each further connection.
    Raises a Refused, ServiceUnavailable, LeaseEnded.
    """
    request = SessionRequest()
    acquire = request.acquire
    acquire.tenant = tenant
    acquire.delivery = DELIVERY_GATEWAY
    if timeout is not None:
        set_seconds(acquire.timeout, timeout)
    response = (await session.call(request, patience(timeout))).response
    if response.HasField("refused"):
        raise from_status(response.refused)
    way = response.acquired.lease.gateway
    try:
        place = session.way_in(way.addresses)
    except BaseException:
        if (unused := refund(response)) is not None:
            session.tell(unused)
        raise
    return {
        **{_VARIABLES[name]: value for name, value in place.items()},
        "PGUSER": f"{tenant}@{session.session_id}",
        "PGPASSWORD": session.session_pass,
        "PGDATABASE": way.dbname,
    }
