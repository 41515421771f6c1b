"""The way to the gateway, as libpq's parameters."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from tenantpool.client.target import TLS, Target
from tenantpool.errors import LeaseEnded
from tenantpool.v1.lease_pb2 import GatewayAddress


def way_in(addresses: Iterable[GatewayAddress], target: Target) -> dict[str, str]:
    """``host``, ``port`` and what libpq has to know of encryption; looks at the file system.

    The Unix socket if the *target* is one, too: at the same path of another host there may be
    another service. Or else TCP, best at the host that the target names, as that one can be
    reached. Raises LeaseEnded if there is nothing of that.
    """
    known = list(addresses)
    local = next(filter(_is_there, known), None)
    remote = [address for address in known if not address.host.startswith("/")]
    if local is not None and (not target.host or not remote):
        return {**_place(local.host, local.port), "sslmode": "disable"}
    if not remote:
        raise LeaseEnded("the service has no gateway that can be reached from here")
    # An empty host is every address of the service's machine.
    best = next((a for a in remote if a.host in ("", target.host)), remote[0])
    host = best.host or target.host or "localhost"
    return {**_place(host, best.port), **_encryption(target.tls)}


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
