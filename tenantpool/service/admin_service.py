"""AdminService over gRPC: looks into the manager and the desk, and steers them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tenantpool.config import Settings
from tenantpool.config.diff import differences
from tenantpool.errors import BadRequest, ConfigError, ConfigErrors
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager.stats import TenantStats
from tenantpool.v1 import admin_service_pb2 as pb
from tenantpool.v1.admin_service_pb2_grpc import AdminServiceServicer

from .calls import Calls, Context
from .desk import Desk
from .overview import Overview, Wanted
from .view import lease_view, page, tenant_view

Load = Callable[[Path | None], Settings]
"""Reads a configuration file, or the one that the service was started with. Raises ConfigError."""

_INTERVAL = 1.0
_SHORTEST_INTERVAL = 0.1
_LONGEST_INTERVAL = 60.0


class WatchContext(Context, Protocol):
    """The context of a Watch."""

    async def write(self, message: pb.WatchResponse) -> None:
        """Say *message*; blocks while the client does not read."""


class AdminService(AdminServiceServicer):
    """For identities that may administer."""

    def __init__(self, manager: AsyncManager, desk: Desk, calls: Calls, load: Load) -> None:
        self._manager = manager
        self._desk = desk
        self._calls = calls
        self._load = load
        self._overview = Overview(manager, desk)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._calls!r}>"

    # -- looking -------------------------------------------------------------------------------

    async def ListTenants(
        self, request: pb.ListTenantsRequest, context: Context
    ) -> pb.ListTenantsResponse:
        """The tenants that were asked for, and those of the configuration."""

        async def work() -> pb.ListTenantsResponse:
            stats = self._manager.stats().tenants
            names = stats.keys() | self._manager.settings.tenants.keys()
            here, token = page(names, request.prefix, request.page_size, request.page_token)
            tenants = [self._view(name, stats.get(name)) for name in here]
            return pb.ListTenantsResponse(tenants=tenants, next_page_token=token)

        return await self._calls.administer("ListTenants", context, work)

    async def GetTenant(
        self, request: pb.GetTenantRequest, context: Context
    ) -> pb.GetTenantResponse:
        """One tenant; UnknownTenant if nobody of that name would be served."""

        async def work() -> pb.GetTenantResponse:
            return self._overview.tenant(request.tenant)

        return await self._calls.administer("GetTenant", context, work)

    async def ListDatabases(
        self, request: pb.ListDatabasesRequest, context: Context
    ) -> pb.ListDatabasesResponse:
        """All databases."""

        async def work() -> pb.ListDatabasesResponse:
            return pb.ListDatabasesResponse(databases=self._overview.databases())

        return await self._calls.administer("ListDatabases", context, work)

    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: Context
    ) -> pb.ListLeasesResponse:
        """The leases in use."""

        async def work() -> pb.ListLeasesResponse:
            loans = self._desk.loans
            here, token = page(loans, request.prefix, request.page_size, request.page_token)
            leases = [lease_view(loans[lease_id]) for lease_id in here]
            return pb.ListLeasesResponse(leases=leases, next_page_token=token)

        return await self._calls.administer("ListLeases", context, work)

    async def Watch(self, request: pb.WatchRequest, context: WatchContext) -> None:
        """The state of now, and again after each interval, until the client hangs up."""

        async def work() -> None:
            interval, wanted = _interval(request), Wanted.of(request)
            while True:
                await context.write(await self._overview.state(wanted))
                await asyncio.sleep(interval)

        await self._calls.administer("Watch", context, work)

    def _view(self, name: str, stats: TenantStats | None) -> pb.Tenant:
        return tenant_view(self._manager.settings.tenant(name), stats)

    # -- steering ------------------------------------------------------------------------------

    async def RevokeLeases(
        self, request: pb.RevokeLeasesRequest, context: Context
    ) -> pb.RevokeLeasesResponse:
        """Want leases back: a notice, then the cut."""

        async def work() -> pb.RevokeLeasesResponse:
            if not request.prefix:
                raise BadRequest("prefix is empty: that would be every lease")
            within = _seconds(request, "drain_within") or 0.0
            reason = request.reason or "revoked by an administrator"
            return pb.RevokeLeasesResponse(
                revoked=self._desk.revoke(request.prefix, within, reason)
            )

        return await self._calls.administer("RevokeLeases", context, work)

    async def DrainTenant(
        self, request: pb.DrainTenantRequest, context: Context
    ) -> pb.DrainTenantResponse:
        """Refuse the tenant's requests; blocks until its leases have come back, or *timeout*."""

        async def work() -> pb.DrainTenantResponse:
            timeout = _seconds(request, "timeout") or 0.0
            drained = await self._manager.drain(request.tenant, timeout)
            return pb.DrainTenantResponse(drained=drained)

        return await self._calls.administer("DrainTenant", context, work)

    async def ResumeTenant(
        self, request: pb.ResumeTenantRequest, context: Context
    ) -> pb.ResumeTenantResponse:
        """End a drain."""

        async def work() -> pb.ResumeTenantResponse:
            self._manager.resume(request.tenant)
            return pb.ResumeTenantResponse()

        return await self._calls.administer("ResumeTenant", context, work)

    # -- configuration -------------------------------------------------------------------------

    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: Context
    ) -> pb.ValidateConfigResponse:
        """Check a configuration and apply nothing."""

        async def work() -> pb.ValidateConfigResponse:
            found = await asyncio.to_thread(self._mistakes, request.yaml)
            return pb.ValidateConfigResponse(mistakes=found)

        return await self._calls.administer("ValidateConfig", context, work)

    async def ReloadConfig(
        self, request: pb.ReloadConfigRequest, context: Context
    ) -> pb.ReloadConfigResponse:
        """Read the configuration again. A change raises ConfigError: it needs a restart so far."""

        async def work() -> pb.ReloadConfigResponse:
            new = await asyncio.to_thread(self._load, None)
            changed = [
                ConfigError(
                    ".".join(difference.loc),
                    f"was {difference.old} and is {difference.new}, which needs a restart",
                )
                for difference in differences(self._manager.settings, new)
            ]
            if changed:
                raise ConfigErrors(changed) if len(changed) > 1 else changed[0]
            return pb.ReloadConfigResponse()

        return await self._calls.administer("ReloadConfig", context, work)

    def _mistakes(self, yaml: str) -> list[pb.ConfigMistake]:
        """What is wrong with *yaml*, or with the service's own file. Reads files, so it blocks."""
        try:
            if yaml:
                self._load_text(yaml)
            else:
                self._load(None)
        except ConfigError as error:
            every = error.errors if isinstance(error, ConfigErrors) else (error,)
            return [pb.ConfigMistake(place=e.place, problem=e.problem, fix=e.fix) for e in every]
        return []

    def _load_text(self, yaml: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "yaml")
            path.write_text(yaml, encoding="utf-8")
            try:
                self._load(path)
            except ConfigError as error:
                raise _without_folder(error, folder) from None


def _without_folder(error: ConfigError, folder: str) -> ConfigError:
    """The file was ours: only its lines mean something to who wrote them."""
    every = error.errors if isinstance(error, ConfigErrors) else (error,)
    return ConfigErrors(
        [ConfigError(e.place.replace(f"{folder}/", ""), e.problem, e.fix) for e in every]
    )


def _interval(request: pb.WatchRequest) -> float:
    interval = _seconds(request, "interval")
    if interval is None:
        return _INTERVAL
    if interval < _SHORTEST_INTERVAL:
        raise BadRequest(f"interval is less than {_SHORTEST_INTERVAL} seconds")
    return min(interval, _LONGEST_INTERVAL)


def _seconds(request: Message, field: str) -> float | None:
    """A duration of the *request* in seconds; None if it is absent."""
    if not request.HasField(field):
        return None
    duration: Duration = getattr(request, field)
    value = duration.ToMicroseconds() / 1e6
    if value < 0:
        raise BadRequest(f"{field} is negative")
    return value
