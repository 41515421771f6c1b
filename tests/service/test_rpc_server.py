"""Health, reflection, addresses, and what a server is told to do."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from tenantpool.errors import ConfigError
from tests.support.wait import wait_until_async

from .support import Client, Service, channel, running, settings

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
NAMES = ["", "tenantpool.v1.LeaseService", "tenantpool.v1.AdminService"]


async def health(client: Client, name: str) -> int:
    stub = HealthStub(client.channel)  # type: ignore[no-untyped-call]
    answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
    return int(answer.status)


@pytest.mark.parametrize("name", NAMES)
async def test_it_serves_until_it_refuses(service: Service, client: Client, name: str) -> None:
    assert await health(client, name) == SERVING
    await service.rpc.refuse()
    assert await health(client, name) == NOT_SERVING
    await client.acquire()  # others still get their answers


async def test_who_watches_the_health_hears_of_it_and_does_not_delay_the_end(
    service: Service, client: Client
) -> None:
    stub = HealthStub(client.channel)  # type: ignore[no-untyped-call]
    watch = stub.Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    await service.rpc.refuse()
    assert (await watch.read()).status == NOT_SERVING
    async with asyncio.timeout(5):
        await service.rpc.stop()
    watch.cancel()


async def test_reflection_tells_every_service_and_its_messages(service: Service) -> None:
    def ask() -> tuple[list[str], list[str]]:
        with grpc.insecure_channel(service.unix) as made:
            database = ProtoReflectionDescriptorDatabase(made)
            file = database.FindFileContainingSymbol("tenantpool.v1.AcquireLeaseRequest")
            return list(database.get_services()), [m.name for m in file.message_type]

    services, messages = await asyncio.to_thread(ask)
    assert {*NAMES[1:], "grpc.health.v1.Health"} <= set(services)
    assert "AcquireLeaseResponse" in messages


async def test_every_host_gets_the_same_port(tmp_path: Path) -> None:
    async with running(settings({"listen": ["127.0.0.1", "127.0.0.2"]}), tmp_path) as service:
        assert service.rpc.addresses[0] == f"unix:{tmp_path}/grpc.sock"
        (first, second) = service.rpc.addresses[1:]
        assert first.rpartition(":")[2] == second.rpartition(":")[2] != "0"
        for target in (first, second):
            async with channel(target) as client:
                await client.acquire()
        assert first in repr(service.rpc)


async def test_a_port_that_is_taken_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = Service(settings(), tmp_path, None)
        with pytest.raises(ConfigError, match=rf"grpc_port: cannot listen at 127.0.0.1:{port}"):
            await service.rpc.start(["127.0.0.1"], port, None)


async def test_two_services_do_not_share_a_port(service: Service, tmp_path: Path) -> None:
    port = int(service.tcp.rpartition(":")[2])
    with pytest.raises(ConfigError, match="cannot listen"):
        await Service(settings(), tmp_path, None).rpc.start(["127.0.0.1"], port, None)


async def test_who_does_not_speak_in_time_is_hung_up_on(tmp_path: Path) -> None:
    async with running(settings({"startup_timeout": 0.2}), tmp_path) as service:
        host, _, port = service.tcp.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(10):
            while await reader.read(1024):  # the server's own settings come first
                pass
        writer.close()


async def test_it_can_be_started_again_at_its_address(tmp_path: Path) -> None:
    for _ in range(2):
        async with running(settings(), tmp_path) as service, channel(service.unix) as client:
            await client.acquire()
    await wait_until_async(lambda: not (tmp_path / "grpc.sock").exists())
