"""The client over gRPC, as from another host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from tenantpool.client import TLS, AsyncLeaseClient, LeaseClient
from tenantpool.errors import (
    LeaseEnded,
    ManagerClosed,
    NotAllowed,
    NotAuthenticated,
    ServiceUnavailable,
    TenantLimit,
)
from tests.client.serve import RealService
from tests.manager.test_forks import in_child
from tests.service.certificates import Authority
from tests.support.grpc_poller import grpc_poller
from tests.support.servers import on_latest
from tests.support.wait import wait_until

TOKEN = "a-token-of-the-worker"


__all__ = ["grpc_poller"]


@pytest.fixture(autouse=True, scope="module")
def _grpc(grpc_poller: None) -> None:
    """All of these tests use gRPC."""


@on_latest
def test_leases_of_threads(service: RealService):
    with LeaseClient(service.address, token=TOKEN, linger=0) as leases:
        for number in range(3):
            with leases.connection("a", timeout=10) as conn:
                assert conn.execute("select %s::int", [number]).fetchone() == (number,)
            wait_until(lambda: service.leases() == 0)
        assert leases.stats().connects == 3


@on_latest
def test_leases_of_tasks(service: RealService):
    async def work() -> None:
        async with AsyncLeaseClient(service.address, token=TOKEN) as leases:
            for number in range(3):
                async with leases.connection("a", timeout=10) as conn:
                    cursor = await conn.execute("select %s::int", [number])
                    assert await cursor.fetchone() == (number,)
            assert leases.stats().reused == 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(work())
    assert service.leases() == 0


@on_latest
def test_errors_are_the_same(service: RealService):
    with LeaseClient(service.address, token=TOKEN, linger=0) as leases:
        held = [leases.acquire("a") for _ in range(4)]
        with pytest.raises(TenantLimit) as caught:
            leases.acquire("a", timeout=0.1)
        assert caught.value.holders == {"a": 4}
        for conn in held:
            conn.close()
    wrong: LeaseClient = LeaseClient(service.address, token="not-the-token-of-anybody")
    with wrong, pytest.raises(NotAuthenticated):
        wrong.acquire("a", timeout=20)


@on_latest
def test_a_service_that_is_killed_and_comes_back(service: RealService):
    service.settings["service"]["grpc_port"] = int(service.address.rpartition(":")[2])
    with LeaseClient(service.address, token=TOKEN, linger=0) as leases:
        lease = leases.connection("a")
        conn = lease.__enter__()
        service.kill()
        wait_until(lambda: leases.stats().ended)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
        with pytest.raises(LeaseEnded):
            lease.end(failed=False)
        with pytest.raises(ServiceUnavailable):
            leases.acquire("a", timeout=0.1)
        service.start()
        with leases.connection("a", timeout=20) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        assert leases.stats().sessions == 2


@on_latest
def test_tls_with_certificates_on_both_sides(service: RealService, tmp_path: Path):
    authority = Authority(tmp_path)
    cert, key = authority.sign("service", "service", "IP:127.0.0.1")
    mine, my_key = authority.sign("worker", "worker-1")
    service.stop()
    rules = service.settings["service"]
    rules["tls"] = {"certificate": str(cert), "key": str(key)}
    rules["tls"]["client_ca"] = str(authority.certificate)
    rules["identities"] = {"worker": {"certificates": ["CN=worker-*"], "tenants": ["a"]}}
    service.start()
    tls = TLS(ca=authority.certificate, cert=mine, key=my_key)
    with LeaseClient(service.address, token="", tls=tls) as leases:
        leases.open(20)
        assert leases.stats().sessions == 1
        with pytest.raises(NotAllowed):
            leases.acquire("b")
    nobody: LeaseClient = LeaseClient(service.address, token="", tls=TLS(ca=authority.certificate))
    with nobody, pytest.raises(ServiceUnavailable):
        nobody.open(0.1)


@on_latest
def test_a_child_is_told(service: RealService):
    with LeaseClient(service.address, token=TOKEN, linger=0) as leases:
        conn = leases.acquire("a")

        def use() -> str:
            assert conn.closed
            with pytest.raises(ManagerClosed, match="gRPC was in use"):
                leases.acquire("a")
            return "told"

        assert in_child(use) == "told"
        assert conn.execute("select 1").fetchone() == (1,)
        conn.close()
