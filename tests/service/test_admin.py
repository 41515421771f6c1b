"""What administrators see and do over real gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from tenantpool import errors
from tenantpool.config import Settings
from tenantpool.core.tenure import Tenure
from tenantpool.manager.scaled import Scaled
from tenantpool.v1 import admin_service_pb2 as pb

from .support import Client, Service, channel, error_of, reason_of, running, settings

TENANTS: dict[str, object] = {f"t{i}": {} for i in range(5)}

YAML = """\
databases:
  main: {conninfo: host=/nowhere password=geheim, capacity: 5}
service: {folder: null}
"""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    made = settings(tenants={"acme": {"tier": "pro"}, **TENANTS}, template={"enabled": False})
    async with running(made, tmp_path) as service:
        yield service


async def names(client: Client, **request: Any) -> tuple[list[str], str]:
    answer = await client.admin.ListTenants(pb.ListTenantsRequest(**request))
    return [tenant.name for tenant in answer.tenants], answer.next_page_token


# -- looking -----------------------------------------------------------------------------------


async def test_tenants_come_a_page_at_a_time(client: Client) -> None:
    first, token = await names(client, page_size=4)
    assert (first, token) == (["acme", "t0", "t1", "t2"], "t2")
    assert await names(client, page_size=4, page_token=token) == (["t3", "t4"], "")
    assert await names(client, prefix="a") == (["acme"], "")
    assert await names(client, page_size=6) == (["acme", *TENANTS], "")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await names(client, page_size=1001)
    assert reason_of(caught.value) == "BAD_REQUEST"


async def test_a_tenant_shows_its_limits_before_it_was_ever_asked_for(client: Client) -> None:
    tenant = (await client.admin.GetTenant(pb.GetTenantRequest(tenant="acme"))).tenant
    assert (tenant.tier, tenant.database, tenant.cap, tenant.weight) == ("pro", "main", 25, 3)
    assert (tenant.in_use, tenant.breaker, tenant.draining) == (0, "closed", False)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.admin.GetTenant(pb.GetTenantRequest(tenant="nobody"))
    assert isinstance(error_of(caught.value), errors.UnknownTenant)


async def test_what_a_tenant_does_is_counted(service: Service, client: Client) -> None:
    service.manager.seat("acme")
    await service.manager.drain("acme", 0)
    with pytest.raises(errors.Draining):
        await service.manager.acquire("acme")
    tenant = (await client.admin.GetTenant(pb.GetTenantRequest(tenant="acme"))).tenant
    assert (tenant.draining, dict(tenant.refused)) == (True, {"DRAINING": 1})
    assert tenant.pool


async def test_databases_show_their_slots_by_state(client: Client) -> None:
    (database,) = (await client.admin.ListDatabases(pb.ListDatabasesRequest())).databases
    assert (database.name, database.capacity, database.used) == ("main", 5, 0)
    assert set(database.slots) == {"opening", "idle", "in use", "resetting", "closing"}


async def test_leases_show_who_holds_them_and_how_long_they_live(
    service: Service, client: Client
) -> None:
    for number in (1, 2):
        tenure = Tenure(None, 30, None)
        tenure.ends_at = 0.0
        loan = SimpleNamespace(
            lease_id=f"acme/w/{number}",
            tenant=SimpleNamespace(name="acme"),
            identity=SimpleNamespace(name="w"),
            holder="host: report",
            delivery=1,
            held=1.5,
            link=None,
            tenure=tenure,
        )
        service.desk.ledger.loans[loan.lease_id] = loan
    answer = await client.admin.ListLeases(pb.ListLeasesRequest(page_size=1))
    (lease,) = answer.leases
    assert (lease.lease_id, lease.identity, lease.holder) == ("acme/w/1", "w", "host: report")
    assert (lease.delivery, lease.held.ToMilliseconds(), lease.backend_pid) == ("gateway", 1500, 0)
    assert lease.expires_in.ToMilliseconds() == 0
    again = pb.ListLeasesRequest(page_token=answer.next_page_token)
    assert [lease.lease_id for lease in (await client.admin.ListLeases(again)).leases] == [
        "acme/w/2"
    ]
    assert not (await client.admin.ListLeases(pb.ListLeasesRequest(prefix="other/"))).leases


async def test_watching_shows_the_state_again_and_again(service: Service, client: Client) -> None:
    request = pb.WatchRequest()
    request.interval.FromMilliseconds(100)
    watch = client.admin.Watch(request)
    states = aiter(watch)
    for _ in range(2):
        state = await anext(states)
        assert [database.name for database in state.databases] == ["main"]
    await service.rpc.stop()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        [state async for state in states]
    assert reason_of(caught.value) == "DRAINING"


async def test_nobody_watches_in_a_hurry(client: Client) -> None:
    request = pb.WatchRequest()
    request.interval.FromMilliseconds(99)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.admin.Watch(request).read()
    assert reason_of(caught.value) == "BAD_REQUEST"


# -- steering ----------------------------------------------------------------------------------


async def test_revoking_names_a_prefix(client: Client) -> None:
    answer = await client.admin.RevokeLeases(pb.RevokeLeasesRequest(prefix="acme/"))
    assert answer.revoked == len("acme/")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.admin.RevokeLeases(pb.RevokeLeasesRequest())
    assert reason_of(caught.value) == "BAD_REQUEST"


async def test_a_tenant_is_drained_and_resumed(service: Service, client: Client) -> None:
    answer = await client.admin.DrainTenant(pb.DrainTenantRequest(tenant="acme"))
    assert answer.drained
    assert service.manager.stats().tenants["acme"].draining
    await client.admin.ResumeTenant(pb.ResumeTenantRequest(tenant="acme"))
    assert not service.manager.stats().tenants["acme"].draining
    for call in (
        client.admin.DrainTenant(pb.DrainTenantRequest(tenant="nobody")),
        client.admin.ResumeTenant(pb.ResumeTenantRequest(tenant="nobody")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert reason_of(caught.value) == "UNKNOWN_TENANT"


# -- configuration -----------------------------------------------------------------------------


@pytest.fixture
async def from_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Client, Path]]:
    """A service that was started with a file."""
    monkeypatch.delenv("TENANTPOOL_CONFIG", raising=False)
    path = tmp_path / "t.yaml"
    path.write_text(YAML)
    async with (
        running(Settings.load(path), tmp_path, path) as service,
        channel(service.unix) as client,
    ):
        yield client, path


async def mistakes(client: Client, yaml: str = "") -> list[tuple[str, str, str]]:
    answer = await client.admin.ValidateConfig(pb.ValidateConfigRequest(yaml=yaml))
    return [(mistake.place, mistake.problem, mistake.fix) for mistake in answer.mistakes]


async def test_a_configuration_is_checked_without_being_applied(
    from_file: tuple[Client, Path],
) -> None:
    client, path = from_file
    assert await mistakes(client) == []
    assert await mistakes(client, YAML) == []
    wrong = YAML + "default_tier: prp\nsweep_interval: 0\n"
    found = await mistakes(client, wrong)
    assert [place for place, _, _ in found] == ["yaml:5: sweep_interval"]
    (found_one,) = await mistakes(client, YAML + "default_tier: prp\n")
    assert found_one == ("yaml:4: default_tier", "there is no tier prp", "did you mean pro?")
    path.write_text(wrong)
    assert [place for place, _, _ in await mistakes(client)] == [f"{path}:5: sweep_interval"]


async def reload(client: Client, **request: Any) -> Any:
    return await client.admin.ReloadConfig(pb.ReloadConfigRequest(**request))


async def latest(client: Client) -> Any:
    return (await client.admin.GetConfig(pb.GetConfigRequest())).latest


async def health(client: Client) -> int:
    stub: Any = HealthStub(client.channel)  # type: ignore[no-untyped-call]
    return int((await stub.Check(HealthCheckRequest(service="tenantpool.config"))).status)


async def test_reloading_what_has_not_changed_changes_nothing(
    from_file: tuple[Client, Path],
) -> None:
    client, _ = from_file
    answer = await reload(client)
    assert list(answer.changes) == []
    config = await client.admin.GetConfig(pb.GetConfigRequest())
    assert config.digest == answer.digest
    assert (config.latest.result, config.latest.source, config.latest.author) == (
        "unchanged",
        "call",
        "local",
    )


async def test_reloading_applies_what_has_changed_and_says_it_without_a_secret(
    from_file: tuple[Client, Path],
) -> None:
    client, path = from_file
    path.write_text(YAML.replace("geheim", "anders") + "tiers: {pro: {cap: 30}}\n")
    changes = [
        "main: conninfo changed (connections are renewed)",
        "tier pro: cap 25 → 30 (0 tenants)",
    ]
    assert list((await reload(client, dry_run=True)).changes) == changes
    assert not (await latest(client)).result
    answer = await reload(client)
    assert list(answer.changes) == changes
    known = await latest(client)
    assert (known.result, list(known.changes), known.digest_after) == (
        "applied",
        changes,
        answer.digest,
    )
    assert known.digest_before != known.digest_after


async def test_a_plan_is_carried_out_only_if_it_still_holds(from_file: tuple[Client, Path]) -> None:
    client, path = from_file
    path.write_text(YAML + "tiers: {pro: {cap: 30}}\n")
    plan = await client.admin.PlanConfig(pb.PlanConfigRequest())
    assert [(c.kind, c.subject, c.live) for c in plan.changes] == [("tier", "pro", True)]
    await reload(client, yaml=YAML + "tiers: {pro: {cap: 28}}\n")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reload(client, expected_digest=plan.digest)
    assert caught.value.code() is grpc.StatusCode.ABORTED
    assert isinstance(error_of(caught.value), errors.ConfigConflict)
    again = await client.admin.PlanConfig(pb.PlanConfigRequest())
    assert (await reload(client, expected_digest=again.digest)).digest == plan.new_digest


async def test_a_plan_names_what_needs_a_restart_and_then_nothing_is_applied(
    from_file: tuple[Client, Path],
) -> None:
    client, _ = from_file
    yaml = YAML.replace("folder: null", "folder: null, grpc_port: 1") + "sweep_interval: 2\n"
    plan = await client.admin.PlanConfig(pb.PlanConfigRequest(yaml=yaml))
    assert [c.text for c in plan.changes if not c.live] == ["service.grpc_port 7432 → 1"]
    (restart,) = plan.restarts
    assert restart.place == "service.grpc_port"
    assert "needs a restart" in restart.problem
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reload(client, yaml=yaml)
    assert reason_of(caught.value) == "CONFIG_ERROR"
    assert (await client.admin.PlanConfig(pb.PlanConfigRequest())).digest == plan.digest


async def test_a_broken_file_keeps_the_last_good_one_and_is_seen_by_health_checks(
    from_file: tuple[Client, Path],
) -> None:
    client, path = from_file
    assert await health(client) == HealthCheckResponse.SERVING
    path.write_text("databases: {main: {conninfo: host=x, capacity: 0}}")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reload(client)
    assert reason_of(caught.value) == "CONFIG_ERROR"
    assert await health(client) == HealthCheckResponse.NOT_SERVING
    known = await latest(client)
    assert (known.result, known.digest_before) == ("refused", known.digest_after)
    assert known.mistakes[0].place == f"{path}:1: databases.main.capacity"
    path.write_text(YAML)
    await reload(client)
    assert await health(client) == HealthCheckResponse.SERVING
    counts = (await client.admin.GetConfig(pb.GetConfigRequest())).reloads
    assert dict(counts) == {"refused": 1, "unchanged": 1}


async def test_a_service_without_a_file_has_nothing_to_reload(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await reload(client)
    assert "without a configuration file" in str(caught.value.details())


# -- overrides ---------------------------------------------------------------------------------


async def set_override(client: Client, lasts: float = 0.0, **request: Any) -> Any:
    made = pb.SetOverrideRequest(**request)
    if lasts:
        made.lasts.FromNanoseconds(round(lasts * 1e9))
    return await client.admin.SetOverride(made)


async def overrides(client: Client, tenant: str = "") -> list[Any]:
    answer = await client.admin.ListOverrides(pb.ListOverridesRequest(tenant=tenant))
    return list(answer.overrides)


async def test_an_override_carries_the_name_of_who_asks(client: Client) -> None:
    answer = await set_override(client, 7200, tenant="acme", tier="enterprise", reason="launch")
    assert list(answer.changes) == [
        "acme: pro → enterprise (cap 25 → 50, weight 3 → 10, min_size 5 → 10)"
    ]
    (known,) = await overrides(client)
    assert known.override_id == answer.override.override_id
    assert (known.tenant, known.tier, known.was) == ("acme", "enterprise", "pro")
    assert (known.author, known.reason) == ("local", "launch")
    assert 7190 < known.ends_in.ToSeconds() <= 7200
    tenant = (await client.admin.GetTenant(pb.GetTenantRequest(tenant="acme"))).tenant
    assert tenant.tier == "enterprise"
    assert await overrides(client, "t1") == []
    answer = await client.admin.RemoveOverride(
        pb.RemoveOverrideRequest(override_id=known.override_id)
    )
    assert answer.changes[0].startswith("acme: enterprise → pro")
    assert await overrides(client) == []


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (
            {"tenant": "acme", "tier": "entreprise"},
            "tier: there is no tier entreprise; did you mean enterprise?",
        ),
        ({"tenant": "acmee", "tier": "pro"}, "tenant: acmee is no tenant"),
        ({"tenant": "", "suspended": True}, "tenant: (empty) is no tenant"),
        ({"tenant": "acme"}, "an override needs a tier, or suspended"),
        ({"tenant": "acme", "suspended": False}, "acme is not suspended"),
        ({"tenant": "acme", "tier": "pro", "lasts": -1.0}, "is over already"),
        ({"tenant": "acme", "tier": "pro", "reason": "x" * 201}, "more than 200 characters"),
    ],
)
async def test_an_override_that_makes_no_sense_is_refused(
    client: Client, request_: dict[str, Any], says: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await set_override(client, **request_)
    assert says in str(caught.value.details())
    assert await overrides(client) == []


async def test_an_override_that_is_gone_cannot_be_removed(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.admin.RemoveOverride(pb.RemoveOverrideRequest(override_id="abcdef"))
    assert reason_of(caught.value) == "BAD_REQUEST"


async def test_a_suspension_ends_by_undoing_what_made_it(client: Client) -> None:
    await set_override(client, tenant="acme", suspended=True)
    (known,) = await overrides(client)
    assert (known.suspended, known.was) == (True, "not suspended")
    answer = await set_override(client, tenant="acme", suspended=False)
    assert not answer.HasField("override")
    assert await overrides(client) == []


# -- auto-scaling ------------------------------------------------------------------------------


async def scaled(service: Service, client: Client, cap: int) -> None:
    """As scaling would do it, at 1000 seconds since the epoch."""
    manager = service.manager
    manager.seat("acme")
    manager._runtime.seating.set_cap("acme", cap)
    manager.scaling.changes.appendleft(Scaled(1000.0, "acme", "pro", 25, cap, 0.75))
    assert await cap_of(client) == cap


async def cap_of(client: Client) -> int:
    return int((await client.admin.GetTenant(pb.GetTenantRequest(tenant="acme"))).tenant.cap)


@pytest.fixture
async def scaling(tmp_path: Path) -> AsyncIterator[Service]:
    tier = {"cap": 25, "autoscale": {"floor": 5, "ceiling": 50}}
    made = settings(tenants={"acme": {"tier": "pro"}, "other": {}}, tiers={"pro": tier})
    async with running(made, tmp_path) as service:
        yield service


async def test_what_scaling_has_done_is_listed_and_undone(
    scaling: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", "tenantpool")
    async with channel(scaling.unix) as client:
        await scaled(scaling, client, 38)
        found = await client.admin.GetScaling(pb.GetScalingRequest())
        [change] = found.changes
        assert (change.tenant, change.tier, change.cap_before, change.cap_after) == (
            *("acme", "pro", 25, 38),
        )
        assert (change.utilisation, change.made_at.seconds) == (0.75, 1000)
        assert list(found.left_alone) == []
        other = await client.admin.GetScaling(pb.GetScalingRequest(tenant="other"))
        assert list(other.changes) == []
        undone = await client.admin.UndoScaling(pb.UndoScalingRequest(tenant="acme"))
        assert undone.cap == await cap_of(client) == 25
        found = await client.admin.GetScaling(pb.GetScalingRequest(tenant="acme"))
        assert list(found.left_alone) == ["acme"]
        assert "undo scaling tenant=acme by=local" in caplog.text
        await client.admin.ResumeScaling(pb.ResumeScalingRequest(tenant="acme"))
        assert not scaling.manager.scaling.left_alone


async def test_scaling_of_a_tenant_that_is_not_there_is_not_undone(client: Client) -> None:
    for call in (
        client.admin.UndoScaling(pb.UndoScalingRequest(tenant="nobody")),
        client.admin.ResumeScaling(pb.ResumeScalingRequest(tenant="nobody")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert reason_of(caught.value) == "UNKNOWN_TENANT"
