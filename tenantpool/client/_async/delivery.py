"""From a lease to a connection: by its socket, through the gateway, or by a connect of our own."""

from __future__ import annotations

import os
from math import ceil
from time import monotonic
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import Error

from tenantpool.client.dress import Dress
from tenantpool.client.frames import Answer
from tenantpool.client.grant import Grant
from tenantpool.client.husk import Husk
from tenantpool.errors import BadRequest, ConnectFailed, ServiceUnavailable
from tenantpool.status import from_status
from tenantpool.v1.lease_pb2 import GatewayWay, Lease
from tenantpool.v1.session_pb2 import HandOverRequest, SessionRequest

from .session import AsyncSession

_LONGEST_CONNECT = 10.0


async def deliver(
    session: AsyncSession,
    tenant: str,
    answer: Answer,
    husk: Husk | None,
    dress: Dress[Any],
    hands_over: bool,
) -> Grant:
    """The connection of the lease that *answer* grants, in *husk* if the service chose that.

    Otherwise the worker connects; *hands_over*: a connection through the gateway is exchanged for
    the backend's own socket. Raises ConnectFailed, ServiceUnavailable and LeaseEnded, after which
    nothing is left of the lease here.
    """
    lease = answer.response.acquired.lease
    if lease.HasField("hand_off"):
        return _fill(session, tenant, lease, answer.fd, husk)
    if husk is not None:
        session.shelf.drop_husk(husk)
    if lease.HasField("direct"):
        return await _connect_directly(session, tenant, lease, dress)
    conn = await _connect_to_gateway(session, lease.gateway, dress)
    try:
        if hands_over and (grant := await _hand_over(session, tenant, lease, conn, dress)):
            return grant
        return Grant(session.shelf, tenant, lease, conn, os.dup(conn.fileno()))
    except BaseException:
        conn.pgconn.finish()
        raise


def _fill(session: AsyncSession, tenant: str, lease: Lease, fd: int, husk: Husk | None) -> Grant:
    """Put the connection's socket, the descriptor *fd*, into the *husk*, which is dressed."""
    if fd < 0 or husk is None or husk.conn is None or husk.number != lease.hand_off.husk:
        if husk is not None:
            session.shelf.drop_husk(husk)
        if fd >= 0:
            os.close(fd)
        raise ServiceUnavailable(f"{tenant}: the lease came without its connection")
    husk.tenant = tenant
    if (way := lease.hand_off).dbname:
        husk.adopt(way.dbname, way.parameters)
    husk.put(fd)
    return Grant(session.shelf, tenant, lease, husk.conn, fd, husk)


async def _hand_over(
    session: AsyncSession, tenant: str, lease: Lease, conn: AsyncConnection[Any], dress: Dress[Any]
) -> Grant | None:
    """Exchange the gateway's socket for the backend's own; None if the service does not want to."""
    request = SessionRequest(hand_over=HandOverRequest(lease_id=lease.lease_id))
    response, fd = await session.call(request, _LONGEST_CONNECT)
    if response.HasField("refused"):
        error = from_status(response.refused)
        if isinstance(error, BadRequest):
            return None
        raise error
    if fd < 0:
        raise ServiceUnavailable(f"{tenant}: the lease came without its connection")
    husk = Husk(response.handed_over.husk, tenant, conn.pgconn)
    husk.put(fd)
    return Grant(session.shelf, tenant, lease, conn, fd, husk)


async def _connect_to_gateway(
    session: AsyncSession, way: GatewayWay, dress: Dress[Any]
) -> AsyncConnection[Any]:
    """Connect with the ticket. Raises ServiceUnavailable if the gateway can't be reached."""
    place = session.way_in(way.addresses)
    params: dict[str, Any] = {
        **place,
        "user": way.user,
        "password": way.ticket,
        "dbname": way.dbname,
        # What the environment says of a session is not for this one: it is the service's.
        "options": "",
        "application_name": "",
        "client_encoding": "",
        "connect_timeout": ceil(_LONGEST_CONNECT),
    }
    try:
        conn: AsyncConnection[Any] = await dress.connection_class.connect(**params, **dress.kwargs)
    except (Error, OSError) as error:
        raise ServiceUnavailable(f"the gateway at {place['host']}: {error}") from error
    return conn


async def _connect_directly(
    session: AsyncSession, tenant: str, lease: Lease, dress: Dress[Any]
) -> Grant:
    """Connect to the database itself. Raises ConnectFailed if that does not work."""
    started = monotonic()
    try:
        conn = await dress.connection_class.connect(lease.direct.conninfo, **dress.kwargs)
    except (Error, OSError) as error:
        raise ConnectFailed(
            tenant, "a connect of the worker's own", waited=monotonic() - started, cause=error
        ) from error
    try:
        return Grant(session.shelf, tenant, lease, conn, os.dup(conn.fileno()))
    except BaseException:
        conn.pgconn.finish()
        raise
