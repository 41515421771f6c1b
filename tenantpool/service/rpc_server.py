"""The gRPC server: what it serves, where it listens, and how it stops."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from tenantpool.config.service import Service
from tenantpool.errors import ConfigError
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.observe.alerts.watch import Alerts
from tenantpool.v1 import admin_service_pb2, lease_service_pb2
from tenantpool.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from tenantpool.v1.lease_service_pb2_grpc import add_LeaseServiceServicer_to_server

from .admin_service import AdminService
from .calls import Calls
from .desk import Desk
from .identity import Guard
from .lease_service import LeaseService
from .meter import Meter
from .metering import Metering
from .overriding import Overriding
from .reload import REFUSED, Outcome, Reloader
from .tls import Certificates

SOCKET = "grpc.sock"

_PRIVATE, _OPEN = 0o600, 0o666

_SERVICES = (
    lease_service_pb2.DESCRIPTOR.services_by_name["LeaseService"].full_name,
    admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name,
)

CONFIG = "tenantpool.config"
"""What health checks ask for: does the configuration on disk hold, or an earlier one?"""

_MOST_ADMINS = 100
_LAST_WORDS = 0.5
"""Seconds for answers that are on their way when everything else has ended."""


class RpcServer:
    """Serves LeaseService, AdminService, health and reflection.

    *certificates* are for TCP, None: no TLS.
    """

    def __init__(
        self,
        desk: Desk,
        manager: AsyncManager,
        guard: Guard,
        reloader: Reloader,
        overriding: Overriding,
        alerts: Alerts,
        certificates: Certificates | None = None,
    ) -> None:
        rules = desk.rules
        # What the socket's permissions let in is known; where they let in anybody, it is not.
        uid = os.geteuid() if guard.is_private else None
        self.is_private = guard.is_private
        """Whether the Unix socket has let in nobody but the service's own user so far."""
        self._rules = rules
        self._certificates = certificates
        self.meter = Meter()
        self._calls = Calls(guard, unix_uid=uid, most=rules.max_sessions)
        self._streams = Calls(guard, unix_uid=uid, most=rules.max_sessions)
        self._admins = Calls(guard, unix_uid=uid, most=_MOST_ADMINS)
        self._lease_service = LeaseService(desk, self._calls, self._streams)
        self._admin_service = AdminService(
            manager, desk, self._admins, reloader, overriding, alerts
        )
        self._health = health.aio.HealthServicer()
        reloader.tell = self._show
        self._server: grpc.aio.Server | None = None
        self._path: Path | None = None
        self.addresses: list[str] = []
        """Where it listens, as gRPC's targets."""

    def __repr__(self) -> str:
        where = ", ".join(self.addresses) or "nowhere"
        return f"<{type(self).__name__} listens at {where}: {self._lease_service!r}>"

    async def start(self, hosts: Iterable[str], port: int, folder: Path | None) -> None:
        """Listen on TCP *port* (0: any) of all *hosts* and on a Unix socket in *folder*.

        Raises ConfigError if an address cannot be had.
        """
        server = grpc.aio.server(interceptors=[Metering(self.meter)], options=_options(self._rules))
        add_LeaseServiceServicer_to_server(self._lease_service, server)  # type: ignore[no-untyped-call]
        self._add_others(_Seldom(server))
        try:
            self._bind(server, hosts, port, folder)
            await server.start()
        except BaseException:
            await server.stop(None)
            raise
        self._server = server
        for name in ("", *_SERVICES, CONFIG):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def _add_others(self, server: _Seldom) -> None:
        names = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        mirror = reflection.aio.ReflectionServicer(names)  # type: ignore[no-untyped-call]
        add_AdminServiceServicer_to_server(self._admin_service, server)  # type: ignore[no-untyped-call]
        add_HealthServicer_to_server(self._health, server)  # type: ignore[no-untyped-call]
        add_ServerReflectionServicer_to_server(mirror, server)  # type: ignore[no-untyped-call]

    def adopt(self, rules: Service, guard: Guard) -> None:
        """Follow other *rules* from now on. Does not block.

        A socket that was open to others stays so: who has connected may still be one of them.
        """
        for calls in (self._calls, self._streams):
            calls.most = rules.max_sessions
        if self.is_private and not guard.is_private:
            self.is_private = False
            for calls in (self._calls, self._streams, self._admins):
                calls.unix_uid = None
            if self._path is not None:
                self._path.chmod(_OPEN)

    async def _show(self, outcome: Outcome) -> None:
        """Let health checks see whether the latest configuration was taken."""
        states = health_pb2.HealthCheckResponse
        is_bad = outcome.result == REFUSED
        await self._health.set(CONFIG, states.NOT_SERVING if is_bad else states.SERVING)

    async def refuse(self) -> None:
        """Say that it does not serve any more, so that load balancers go elsewhere.

        Calls are still answered. Does not block.
        """
        await self._health.enter_graceful_shutdown()

    async def stop(self) -> None:
        """End sessions, refuse calls that still wait, and let go of the addresses.

        Blocks until nothing is left. Call it when the desk has closed; a second time does nothing.
        """
        server, self._server = self._server, None
        if server is None:
            return
        await self.refuse()
        # First: a server that stops waits its whole grace for streams.
        for calls in (self._streams, self._admins, self._calls):
            await calls.close()
        await server.stop(_LAST_WORDS)
        self.addresses.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    # -- binding -------------------------------------------------------------------------------

    def _bind(
        self, server: grpc.aio.Server, hosts: Iterable[str], port: int, folder: Path | None
    ) -> None:
        if folder is not None:
            self._path = folder / SOCKET
            target = f"unix:{self._path}"
            _add_port(server, target, None, "service.folder")
            self._path.chmod(_PRIVATE if self.is_private else _OPEN)
            self.addresses.append(target)
        credentials = self._certificates.credentials() if self._certificates is not None else None
        for host in hosts:
            # The first host chooses a free port, if that is what was asked for.
            port = _add_port(server, _address(host, port), credentials, "service.grpc_port")
            self.addresses.append(_address(host, port))


class _Seldom:
    """A server that does not register the methods of what is added to it.

    With each call, gRPC waits anew for the next one of every method that is registered.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Add a service's methods."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """They would be the same ones."""


def _add_port(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None, place: str
) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError:
        raise ConfigError(
            place, f"cannot listen at {address}", "is another program there? take another one"
        ) from None


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _options(rules: Service) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", rules.max_request_size),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_concurrent_streams", rules.max_sessions),
        ("grpc.server_handshake_timeout_ms", round(rules.startup_timeout * 1000)),
        # Otherwise two services could listen at one port and share its clients by chance.
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Without it the timeout above is not honoured.
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ]
