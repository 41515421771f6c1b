"""A gRPC server on real sockets, with a desk that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tenantpool.config import Settings
from tenantpool.core.tenure import GRANTED
from tenantpool.errors import ConfigError, TenantpoolError
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.observe.alerts.watch import Alerts
from tenantpool.service.findings import Findings
from tenantpool.service.identity import Guard, Identity
from tenantpool.service.override_store import OverrideStore
from tenantpool.service.overriding import Overriding
from tenantpool.service.reload import Reloader
from tenantpool.service.rpc_server import RpcServer
from tenantpool.service.source import Source
from tenantpool.service.tls import Certificates
from tenantpool.status import from_status
from tenantpool.v1.admin_service_pb2_grpc import AdminServiceStub
from tenantpool.v1.lease_pb2 import AcquireLeaseRequest, Lease, LeaseRef, Renewal
from tenantpool.v1.lease_service_pb2_grpc import LeaseServiceStub

TOKEN = "a-token-of-the-worker"
ADMIN_TOKEN = "a-token-of-the-admin"


def settings(service: dict[str, Any] | None = None, **more: object) -> Settings:
    databases = {"main": {"conninfo": "host=/nowhere", "capacity": 5}}
    return Settings(databases=databases, service=service or {}, **more)


class FakeLoan:
    """Granted."""

    def __init__(self, tenant: str) -> None:
        self.lease_id = f"{tenant}/1"
        self.tenure = SimpleNamespace(state=GRANTED, ttl=30.0)


class FakeLedger:
    """Has what is put there, and notes what is released."""

    def __init__(self) -> None:
        self.loans: dict[str, Any] = {}
        self.released: list[tuple[Identity, LeaseRef, bool]] = []

    def renew(self, identity: Identity, refs: Any, ttl: float | None) -> list[Renewal]:
        return [Renewal(lease_id=ref.lease_id) for ref in refs]

    def release(self, identity: Identity, ref: LeaseRef, *, broken: bool) -> None:
        self.released.append((identity, ref, broken))

    def revoke(self, prefix: str, drain_within: float, reason: str) -> int:
        return len(prefix)


class FakeDesk:
    """Does what ``on_acquire`` says, and notes what it is asked for."""

    def __init__(self, made: Settings, manager: AsyncManager) -> None:
        self.rules = made.service
        self.is_open = True
        self.findings = Findings(manager)
        self.ledger = FakeLedger()
        self.sessions = SimpleNamespace(workers={})
        self.asked: list[tuple[Identity, AcquireLeaseRequest, float | None]] = []
        self.cancelled = 0
        self.on_acquire: Callable[[], Awaitable[None]] = _nothing

    async def acquire(
        self, caller: Identity, wanted: AcquireLeaseRequest, within: float | None = None
    ) -> FakeLoan:
        self.asked.append((caller, wanted, within))
        try:
            await self.on_acquire()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return FakeLoan(wanted.tenant)

    def say(self, loan: FakeLoan, lease: Lease) -> None:
        lease.lease_id = loan.lease_id
        lease.ttl.FromNanoseconds(round(self.rules.lease_ttl * 1e9))
        lease.confirm_within.FromNanoseconds(round(self.rules.confirm_within * 1e9))

    def fail(self, error: BaseException) -> None:
        """Let every acquire raise *error*."""

        async def fail() -> None:
            raise error

        self.on_acquire = fail

    def block(self) -> None:
        """Let every acquire wait for ever."""
        self.on_acquire = asyncio.Event().wait  # type: ignore[assignment]


async def _nothing() -> None:
    pass


class Follower:
    """The rest of a service, which follows everything but what ``refusals`` say."""

    def __init__(self) -> None:
        self.refusals: list[ConfigError] = []
        self.warnings: list[str] = []
        self.adopted: list[Settings] = []

    def check(self, settings: Settings) -> list[ConfigError]:
        return self.refusals

    def warn(self, settings: Settings, caller: Identity | None) -> list[str]:
        return self.warnings

    def adopt(self, settings: Settings) -> None:
        self.adopted.append(settings)


class Service:
    """A server that runs, and stubs that talk to it."""

    def __init__(self, made: Settings, folder: Path, config: Path | None) -> None:
        self.settings = made
        self.folder = folder
        self.manager = AsyncManager(made)
        self.desk = FakeDesk(made, self.manager)
        self.follower = Follower()
        self.reloader = Reloader(self.manager, Source(config), self.follower)
        self.store = OverrideStore(folder / "state", "test")
        self.overriding = Overriding(self.reloader, self.store)
        self.guard = Guard(made.service)
        tls = made.service.tls
        self.certificates = Certificates(tls) if tls is not None else None
        desk: Any = self.desk
        self.alerts = Alerts(self.manager)
        steering = (self.reloader, self.overriding, self.alerts)
        self.rpc = RpcServer(desk, self.manager, self.guard, *steering, self.certificates)

    @property
    def unix(self) -> str:
        return self.rpc.addresses[0]

    @property
    def tcp(self) -> str:
        return self.rpc.addresses[1]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        async with self.manager:
            await self.rpc.start(self.settings.service.listen, 0, self.folder)
            self.overriding.start()
            try:
                yield self
            finally:
                await self.overriding.stop()
                await self.rpc.stop()
                self.store.release()


@asynccontextmanager
async def running(
    made: Settings, folder: Path, config: Path | None = None
) -> AsyncIterator[Service]:
    async with Service(made, folder, config).running() as service:
        yield service


@asynccontextmanager
async def channel(
    target: str, token: str = "", credentials: grpc.ChannelCredentials | None = None
) -> AsyncIterator[Client]:
    # Tests end servers and start them again at one address: nothing may be shared or remembered.
    options = [("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        made = grpc.aio.insecure_channel(target, options=options)
    else:
        # The certificates of the tests are made out to localhost.
        options.append(("grpc.ssl_target_name_override", "localhost"))  # type: ignore[arg-type]
        made = grpc.aio.secure_channel(target, credentials, options=options)
    async with made:
        yield Client(made, token)


class Client:
    """Stubs that send a token along."""

    def __init__(self, made: grpc.aio.Channel, token: str) -> None:
        self.channel = made
        self.leases: Any = LeaseServiceStub(made)  # type: ignore[no-untyped-call]
        self.admin: Any = AdminServiceStub(made)  # type: ignore[no-untyped-call]
        self.metadata = (("authorization", f"Bearer {token}"),) if token else ()

    async def acquire(self, tenant: str = "acme", **more: Any) -> Any:
        request = AcquireLeaseRequest(tenant=tenant)
        return await self.leases.AcquireLease(request, metadata=self.metadata, **more)


def trailers_of(error: grpc.aio.AioRpcError) -> dict[str, str | bytes]:
    """What came after the status; older releases of grpcio give no mapping, only pairs."""
    return dict(iter(error.trailing_metadata()))


def status_of(error: grpc.aio.AioRpcError) -> Status:
    """The rich status that came with *error*."""
    data = trailers_of(error)["grpc-status-details-bin"]
    assert isinstance(data, bytes)
    return Status.FromString(data)


def error_of(error: grpc.aio.AioRpcError) -> TenantpoolError:
    return from_status(status_of(error))


def reason_of(error: grpc.aio.AioRpcError) -> str:
    info = ErrorInfo()
    assert status_of(error).details[0].Unpack(info)
    return info.reason
