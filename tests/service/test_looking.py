"""What a server says of its connections, and what query insight has found, over real gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from tenantpool.embedded import EmbeddedPostgres
from tenantpool.insight.finding import Finding
from tenantpool.service.server import Server
from tenantpool.service.source import Source
from tenantpool.v1 import admin_service_pb2 as pb
from tests.support.servers import on_latest

from .support import ADMIN_TOKEN, TOKEN, Client, Service, channel, reason_of, running, settings


def note(service: Service, tenant: str, place: str, last: float, **more: Any) -> None:
    """Let this have been found at *last*, a time of the epoch."""
    words = {"kind": "slow statement", "what": "took long", "fix": "add an index"}
    finding = {**words, "tenant": tenant, "statement": "select ?", "place": place, "last": last}
    service.desk.findings.note(Finding(**{**finding, **more}))


async def places(client: Client, **request: Any) -> tuple[list[str], str]:
    answer = await client.admin.ListFindings(pb.ListFindingsRequest(**request))
    return [finding.place for finding in answer.findings], answer.next_page_token


@pytest.fixture
def found(service: Service) -> Service:
    """Three things, the latest of two tenants."""
    note(service, "acme", "a.py:1", 100.0, seconds=3.0, count=2)
    note(service, "acme", "b.py:2", 200.0, kind="repeated statement", times=9, seconds=2.0)
    note(service, "globex", "c.py:3", 300.0, seconds=1.0, worker="w1")
    note(service, "acme", "c.py:3", 299.0, seconds=7.0, times=4)
    return service


# -- findings ----------------------------------------------------------------------------------


async def test_what_differs_in_the_tenant_only_is_one_finding(
    found: Service, client: Client
) -> None:
    answer = await client.admin.ListFindings(pb.ListFindingsRequest(page_size=1))
    (finding,) = answer.findings
    assert (list(finding.tenants), finding.tenants_found) == (["globex", "acme"], 2)
    assert (finding.kind, finding.times, finding.worker) == ("slow statement", 5, "w1")
    assert (finding.what, finding.fix) == ("took long", "add an index")
    assert (finding.statement, finding.place) == ("select ?", "c.py:3")
    assert (finding.duration.ToMilliseconds(), finding.count) == (1000, 1)
    assert finding.found_at.ToMilliseconds() == 300_000
    assert answer.findings_found == 3


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("", ["c.py:3", "b.py:2", "a.py:1"]),
        ("latest", ["c.py:3", "b.py:2", "a.py:1"]),
        ("times", ["b.py:2", "c.py:3", "a.py:1"]),
        ("longest", ["a.py:1", "b.py:2", "c.py:3"]),
        ("kind", ["b.py:2", "c.py:3", "a.py:1"]),
        ("tenant", ["b.py:2", "a.py:1", "c.py:3"]),
    ],
)
async def test_findings_come_in_the_order_that_is_asked_for_a_page_at_a_time(
    found: Service, client: Client, order: str, first: list[str]
) -> None:
    here, token = await places(client, order_by=order, page_size=2)
    rest, end = await places(client, order_by=order, page_size=2, page_token=token)
    assert (here + rest, end) == (first, "")


async def test_what_is_found_while_somebody_turns_pages_hides_nothing(
    found: Service, client: Client
) -> None:
    _, token = await places(client, page_size=2)
    note(found, "acme", "d.py:4", 400.0)
    assert await places(client, page_size=2, page_token=token) == (["a.py:1"], "")


async def test_findings_are_those_of_a_tenant_or_of_a_place(found: Service, client: Client) -> None:
    assert await places(client, prefix="glo") == (["c.py:3"], "")
    assert await places(client, prefix="nobody") == ([], "")
    assert await places(client, contains="B.PY") == (["b.py:2"], "")
    assert await places(client, prefix="acme", contains="globex") == ([], "")


@pytest.mark.parametrize("request_", [{"order_by": "colour"}, {"page_size": 1001}])
async def test_findings_that_cannot_be_are_a_bad_request(
    client: Client, request_: dict[str, Any]
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await places(client, **request_)
    assert reason_of(caught.value) == "BAD_REQUEST"


# -- activity ----------------------------------------------------------------------------------


async def test_activity_is_that_of_a_database_there_is(client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.admin.GetActivity(pb.GetActivityRequest(database="nowhere"))
    assert reason_of(caught.value) == "BAD_REQUEST"
    assert "name one of main" in str(caught.value.details())


async def test_a_server_that_cannot_be_asked_is_said_in_words(client: Client) -> None:
    answer = await client.admin.GetActivity(pb.GetActivityRequest(database="main"))
    assert answer.problem.startswith("it could not be asked: ")
    assert not answer.states


@on_latest
async def test_activity_is_what_pg_stat_activity_has(
    tmp_path: Path, postgres: EmbeddedPostgres, database: str
) -> None:
    path = tmp_path / "t.yaml"
    sections = {
        "databases": {"main": {"conninfo": postgres.dsn(), "capacity": 5}},
        "tenants": {"acme": {"dbname": database}},
        "service": {"folder": str(tmp_path / "run"), "listen": [], "gateway_port": 0},
    }
    path.write_text(yaml.safe_dump(sections))
    source = Source(path)
    server = Server(source.load(), source)
    await server.start()
    try:
        async with (
            channel(server.rpc.addresses[0]) as client,
            server.manager.connection("acme") as conn,
        ):
            await conn.execute("select 'told'")
            answer = await client.admin.GetActivity(pb.GetActivityRequest(database="main"))
            pid = conn.info.backend_pid
    finally:
        await server.stop(0.0)
    (tenant,) = answer.tenants
    assert (tenant.tenant, dict(tenant.states)) == ("acme", {"idle in transaction": 1})
    (longest,) = answer.longest
    assert (longest.pid, longest.tenant, longest.dbname) == (pid, "acme", database)
    assert (longest.state, longest.statement) == ("idle in transaction", "select 'told'")
    assert longest.age.ToMicroseconds() > 0
    ours = {count.state: count.ours for count in answer.states}
    assert ours["idle in transaction"] == 1
    assert (answer.problem, answer.hidden) == ("", False)


# -- access ------------------------------------------------------------------------------------


async def test_only_administrators_look(tmp_path: Path) -> None:
    identities = {
        "worker": {"token": TOKEN, "tenants": ["acme"]},
        "admin": {"token": ADMIN_TOKEN, "administer": True},
    }
    async with running(settings({"identities": identities}), tmp_path) as service:
        async with channel(service.unix, ADMIN_TOKEN) as admin:
            await admin.admin.ListFindings(pb.ListFindingsRequest(), metadata=admin.metadata)
        async with channel(service.unix, TOKEN) as client:
            for call in (
                client.admin.ListFindings(pb.ListFindingsRequest(), metadata=client.metadata),
                client.admin.GetActivity(
                    pb.GetActivityRequest(database="main"), metadata=client.metadata
                ),
            ):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert reason_of(caught.value) == "NOT_ALLOWED"
