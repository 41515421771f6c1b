"""Which way a client takes to the gateway, from what it knows of the service."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenantpool.client.gateway import way_in
from tenantpool.client.target import TLS, Target
from tenantpool.errors import LeaseEnded
from tenantpool.v1.lease_pb2 import GatewayAddress


@pytest.fixture
def local(tmp_path: Path) -> GatewayAddress:
    (tmp_path / ".s.PGSQL.6432").touch()
    return GatewayAddress(host=str(tmp_path), port=6432)


EVERYWHERE = GatewayAddress(host="", port=6432)
LOOPBACK = GatewayAddress(host="127.0.0.1", port=6432)
PRIVATE = GatewayAddress(host="10.0.0.5", port=6433)


def place(target: str, *addresses: GatewayAddress) -> tuple[str, str]:
    found = way_in(addresses, Target(target))
    return found["host"], found["port"]


def test_a_worker_at_the_unix_socket_stays_on_unix(local: GatewayAddress) -> None:
    found = way_in([LOOPBACK, local], Target(f"unix:{local.host}"))
    assert found == {
        "host": local.host,
        "port": "6432",
        "gssencmode": "disable",
        "sslmode": "disable",
    }


def test_a_worker_elsewhere_takes_no_socket_that_is_there_by_chance(local: GatewayAddress) -> None:
    assert place("db.internal:7432", local, EVERYWHERE) == ("db.internal", "6432")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("10.0.0.5:7432", "10.0.0.5"),
        ("dns:///10.0.0.5:7432", "10.0.0.5"),
        ("ipv4:10.0.0.5:7432", "10.0.0.5"),
        ("elsewhere:7432", "127.0.0.1"),
    ],
)
def test_the_host_that_the_target_names_is_best(target: str, host: str) -> None:
    assert place(target, LOOPBACK, PRIVATE)[0] == host


def test_what_is_encrypted_over_grpc_is_so_at_the_gateway(tmp_path: Path) -> None:
    tls = TLS(ca=tmp_path / "ca", cert=tmp_path / "cert", key=tmp_path / "key")
    found = way_in([EVERYWHERE], Target("[::1]:7432", tls=tls))
    assert (found["host"], found["sslmode"]) == ("::1", "verify-full")
    assert (found["sslrootcert"], found["sslkey"]) == (str(tls.ca), str(tls.key))
    assert way_in([EVERYWHERE], Target("h:1", tls=TLS()))["sslrootcert"] == "system"


def test_nowhere_to_go(tmp_path: Path) -> None:
    with pytest.raises(LeaseEnded, match="no gateway"):
        way_in([GatewayAddress(host=str(tmp_path), port=1)], Target("unix:/elsewhere"))
