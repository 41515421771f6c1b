"""The way to the gateway, as libpq's parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tenantpool.client.target import TLS, Target
from tenantpool.errors import LeaseEnded
from tenantpool.v1.lease_pb2 import GatewayAddress


def way_in(addresses: Iterable[GatewayAddress], target: Target) -> dict[str, str]:
    """``host``, ``port`` and what libpq has to know of encryption; looks at the file system.

    A Unix socket that is there, or else TCP: best at the host that the *target* names, as that
    one can be reached. Raises LeaseEnded if there is none of them.
    """
    known = list(addresses)
    if (local := next(filter(_is_there, known), None)) is not None:
        return {**_place(local.host, local.port), "sslmode": "disable"}
    host = target.host
    remote = [address for address in known if not address.host.startswith("/")]
    # An empty host is every address of the service's machine.
    best = next((a for a in remote if a.host in ("", host)), remote[0] if remote else None)
    if best is None:
        raise LeaseEnded("the service has no gateway that can be reached from here")
    return {**_place(best.host or host or "localhost", best.port), **_encryption(target.tls)}


def _place(host: str, port: int) -> dict[str, str]:
    return {"host": host, "port": str(port), "gssencmode": "disable"}


def _is_there(address: GatewayAddress) -> bool:
    path = f"{address.host}/.s.PGSQL.{address.port}"
    return address.host.startswith("/") and os.path.exists(path)


def _encryption(tls: TLS | None) -> dict[str, str]:
    """As on the way to gRPC; without *tls*, what libpq does by itself."""
    return dict(_files(tls)) if tls is not None else {}


def _files(tls: TLS) -> Iterator[tuple[str, str]]:
    yield "sslmode", "verify-full"
    yield "sslrootcert", str(tls.ca) or "system"
    if tls.cert:
        yield "sslcert", str(tls.cert)
        yield "sslkey", str(tls.key)
