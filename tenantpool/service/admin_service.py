"""AdminService over gRPC: looks into the manager and the desk, and steers them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Protocol

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from tenantpool.errors import BadRequest, ConfigError
from tenantpool.journal import report
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager.stats import TenantStats
from tenantpool.observe.activity import Watcher
from tenantpool.observe.alerts.watch import Alerts
from tenantpool.v1 import admin_service_pb2 as pb
from tenantpool.v1.admin_service_pb2_grpc import AdminServiceServicer

from .activity_view import activity_view
from .calls import Calls, Context
from .config_view import mistakes_view, override_view, plan_view, reload_view, wish_of
from .desk import Desk
from .findings_page import findings_page
from .identity import Identity
from .overriding import Overriding
from .overview import Overview, Wanted
from .reload import CALL, Origin, Reloader
from .source import mistakes_of
from .view import cap_change_view, lease_view, page, tenant_view

_INTERVAL = 1.0
_SHORTEST_INTERVAL = 0.1
_LONGEST_INTERVAL = 60.0


class WatchContext(Context, Protocol):
    """The context of a Watch."""

    async def write(self, message: pb.WatchResponse) -> None:
        """Say *message*; blocks while the client does not read."""


class AdminService(AdminServiceServicer):
    """For identities that may administer."""

    def __init__(
        self,
        manager: AsyncManager,
        desk: Desk,
        calls: Calls,
        reloader: Reloader,
        overriding: Overriding,
        alerts: Alerts,
    ) -> None:
        self._manager = manager
        self._desk = desk
        self._calls = calls
        self._reloader = reloader
        self._overriding = overriding
        self._overview = Overview(manager, desk, alerts)
        self._activity = Watcher()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._calls!r}>"

    # -- looking -------------------------------------------------------------------------------

    async def ListTenants(
        self, request: pb.ListTenantsRequest, context: Context
    ) -> pb.ListTenantsResponse:
        """The tenants that were asked for, and those of the configuration."""

        async def work(_: Identity) -> pb.ListTenantsResponse:
            stats = self._manager.stats().tenants
            names = stats.keys() | self._manager.settings.tenants.keys()
            here, token = page(names, request.prefix, request.page_size, request.page_token)
            tenants = [self._view(name, stats.get(name)) for name in here]
            return pb.ListTenantsResponse(tenants=tenants, next_page_token=token)

        return await self._calls.administer(context, work)

    async def GetTenant(
        self, request: pb.GetTenantRequest, context: Context
    ) -> pb.GetTenantResponse:
        """One tenant; UnknownTenant if nobody of that name would be served."""

        async def work(_: Identity) -> pb.GetTenantResponse:
            return self._overview.tenant(request.tenant)

        return await self._calls.administer(context, work)

    async def ListDatabases(
        self, request: pb.ListDatabasesRequest, context: Context
    ) -> pb.ListDatabasesResponse:
        """All databases."""

        async def work(_: Identity) -> pb.ListDatabasesResponse:
            return pb.ListDatabasesResponse(databases=self._overview.databases())

        return await self._calls.administer(context, work)

    async def GetActivity(
        self, request: pb.GetActivityRequest, context: Context
    ) -> pb.GetActivityResponse:
        """What a server says of its connections. Blocks for a query; why it has none is said."""

        async def work(_: Identity) -> pb.GetActivityResponse:
            shells = self._manager.shells
            shell = shells.get(request.database)
            if shell is None:
                problem = f"there is no database {request.database!r}"
                raise BadRequest(f"{problem}: name one of {', '.join(sorted(shells))}")
            return activity_view(await self._activity.look(shell))

        return await self._calls.administer(context, work)

    async def ListFindings(
        self, request: pb.ListFindingsRequest, context: Context
    ) -> pb.ListFindingsResponse:
        """What query insight has found."""

        async def work(_: Identity) -> pb.ListFindingsResponse:
            return await findings_page(self._desk.findings.findings(), request)

        return await self._calls.administer(context, work)

    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: Context
    ) -> pb.ListLeasesResponse:
        """The leases in use."""

        async def work(_: Identity) -> pb.ListLeasesResponse:
            loans = self._desk.ledger.loans
            here, token = page(loans, request.prefix, request.page_size, request.page_token)
            leases = [lease_view(loans[lease_id]) for lease_id in here]
            return pb.ListLeasesResponse(leases=leases, next_page_token=token)

        return await self._calls.administer(context, work)

    async def Watch(self, request: pb.WatchRequest, context: WatchContext) -> None:
        """The state of now, and again after each interval, until the client hangs up."""

        async def work(identity: Identity) -> None:
            interval, wanted = _interval(request), Wanted.of(request)
            while True:
                self._calls.check_administers(identity)
                await context.write(await self._overview.state(wanted))
                await asyncio.sleep(interval)

        await self._calls.administer(context, work)

    def _view(self, name: str, stats: TenantStats | None) -> pb.Tenant:
        return tenant_view(self._manager.roster.tenant(name), stats)

    # -- steering ------------------------------------------------------------------------------

    async def RevokeLeases(
        self, request: pb.RevokeLeasesRequest, context: Context
    ) -> pb.RevokeLeasesResponse:
        """Want leases back: a notice, then the cut."""

        async def work(_: Identity) -> pb.RevokeLeasesResponse:
            if not request.prefix:
                raise BadRequest("prefix is empty: that would be every lease")
            within = _seconds(request, "drain_within") or 0.0
            reason = request.reason or "revoked by an administrator"
            return pb.RevokeLeasesResponse(
                revoked=self._desk.ledger.revoke(request.prefix, within, reason)
            )

        return await self._calls.administer(context, work)

    async def DrainTenant(
        self, request: pb.DrainTenantRequest, context: Context
    ) -> pb.DrainTenantResponse:
        """Refuse the tenant's requests; blocks until its leases have come back, or *timeout*."""

        async def work(_: Identity) -> pb.DrainTenantResponse:
            timeout = _seconds(request, "timeout") or 0.0
            drained = await self._manager.drain(request.tenant, timeout)
            return pb.DrainTenantResponse(drained=drained)

        return await self._calls.administer(context, work)

    async def ResumeTenant(
        self, request: pb.ResumeTenantRequest, context: Context
    ) -> pb.ResumeTenantResponse:
        """End a drain."""

        async def work(_: Identity) -> pb.ResumeTenantResponse:
            self._manager.resume(request.tenant)
            return pb.ResumeTenantResponse()

        return await self._calls.administer(context, work)

    # -- configuration -------------------------------------------------------------------------

    async def ValidateConfig(
        self, request: pb.ValidateConfigRequest, context: Context
    ) -> pb.ValidateConfigResponse:
        """Check a configuration and apply nothing."""

        async def work(_: Identity) -> pb.ValidateConfigResponse:
            try:
                await self._reloader.read(request.yaml)
            except ConfigError as error:
                return pb.ValidateConfigResponse(mistakes=mistakes_view(mistakes_of(error)))
            return pb.ValidateConfigResponse()

        return await self._calls.administer(context, work)

    async def PlanConfig(
        self, request: pb.PlanConfigRequest, context: Context
    ) -> pb.PlanConfigResponse:
        """What a configuration would change. Raises ConfigError if it is wrong."""

        async def work(identity: Identity) -> pb.PlanConfigResponse:
            return plan_view(await self._reloader.plan(identity, request.yaml))

        return await self._calls.administer(context, work)

    async def ReloadConfig(
        self, request: pb.ReloadConfigRequest, context: Context
    ) -> pb.ReloadConfigResponse:
        """Apply the configuration as it is on disk now. Raises ConfigError, ConfigConflict."""

        async def work(identity: Identity) -> pb.ReloadConfigResponse:
            outcome = await self._reloader.reload(
                Origin(CALL, identity),
                yaml=request.yaml,
                expected=request.expected_digest,
                dry_run=request.dry_run,
            )
            return pb.ReloadConfigResponse(changes=outcome.changes, digest=outcome.after)

        return await self._calls.administer(context, work)

    async def GetConfig(
        self, request: pb.GetConfigRequest, context: Context
    ) -> pb.GetConfigResponse:
        """Which configuration is in force, and what became of the latest try to change it."""

        async def work(_: Identity) -> pb.GetConfigResponse:
            latest = self._reloader.latest
            return pb.GetConfigResponse(
                digest=self._manager.roster.digest,
                latest=reload_view(latest) if latest is not None else None,
                reloads=self._reloader.counts,
            )

        return await self._calls.administer(context, work)

    # -- overrides -----------------------------------------------------------------------------

    async def SetOverride(
        self, request: pb.SetOverrideRequest, context: Context
    ) -> pb.SetOverrideResponse:
        """Give a tenant another tier, or suspend it, in the name of whoever asks."""

        async def work(identity: Identity) -> pb.SetOverrideResponse:
            made = await self._overriding.set(wish_of(request, time.time()), identity)
            override = None
            if made.override is not None:
                override = override_view(self._manager.roster, made.override, time.time())
            return pb.SetOverrideResponse(override=override, changes=made.changes)

        return await self._calls.administer(context, work)

    async def ListOverrides(
        self, request: pb.ListOverridesRequest, context: Context
    ) -> pb.ListOverridesResponse:
        """The overrides in force."""

        async def work(_: Identity) -> pb.ListOverridesResponse:
            roster, now = self._manager.roster, time.time()
            asked = [o for o in roster.overrides.values() if request.tenant in ("", o.tenant)]
            asked.sort(key=lambda override: (override.tenant, override.made_at))
            return pb.ListOverridesResponse(
                overrides=[override_view(roster, override, now) for override in asked]
            )

        return await self._calls.administer(context, work)

    async def RemoveOverride(
        self, request: pb.RemoveOverrideRequest, context: Context
    ) -> pb.RemoveOverrideResponse:
        """Undo an override before its end."""

        async def work(identity: Identity) -> pb.RemoveOverrideResponse:
            changes = await self._overriding.remove(request.override_id, identity)
            return pb.RemoveOverrideResponse(changes=changes)

        return await self._calls.administer(context, work)

    # -- auto-scaling --------------------------------------------------------------------------

    async def GetScaling(
        self, request: pb.GetScalingRequest, context: Context
    ) -> pb.GetScalingResponse:
        """What auto-scaling has changed, and which tenants it leaves alone."""

        async def work(_: Identity) -> pb.GetScalingResponse:
            scaling, asked = self._manager.scaling, request.tenant
            changes = [change for change in scaling.changes if asked in ("", change.tenant)]
            alone = [name for name in scaling.left_alone if asked in ("", name)]
            return pb.GetScalingResponse(
                changes=map(cap_change_view, changes), left_alone=sorted(alone)
            )

        return await self._calls.administer(context, work)

    async def UndoScaling(
        self, request: pb.UndoScalingRequest, context: Context
    ) -> pb.UndoScalingResponse:
        """Give the tenant the cap of its tier again; UnknownTenant if nobody would be served."""

        async def work(identity: Identity) -> pb.UndoScalingResponse:
            tenant = self._manager.roster.tenant(request.tenant)
            self._manager.scaling.undo(tenant.name)
            report(logging.WARNING, "undo scaling", tenant=tenant.name, by=identity.name)
            return pb.UndoScalingResponse(cap=tenant.limits.cap)

        return await self._calls.administer(context, work)

    async def ResumeScaling(
        self, request: pb.ResumeScalingRequest, context: Context
    ) -> pb.ResumeScalingResponse:
        """Let the tenant's cap follow its use again; UnknownTenant if nobody would be served."""

        async def work(identity: Identity) -> pb.ResumeScalingResponse:
            tenant = self._manager.roster.tenant(request.tenant)
            self._manager.scaling.resume(tenant.name)
            report(logging.WARNING, "resume scaling", tenant=tenant.name, by=identity.name)
            return pb.ResumeScalingResponse()

        return await self._calls.administer(context, work)


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
