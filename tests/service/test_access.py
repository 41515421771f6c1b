"""Who gets in over real gRPC, and what they may do there."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from tenantpool.v1 import admin_service_pb2 as pb

from .support import (
    ADMIN_TOKEN,
    TOKEN,
    Client,
    Service,
    channel,
    error_of,
    reason_of,
    running,
    settings,
)

IDENTITIES = {
    "worker": {"token": TOKEN, "tenants": ["acme"]},
    "admin": {"token": ADMIN_TOKEN, "administer": True},
}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Service]:
    async with running(settings({"identities": IDENTITIES}), tmp_path) as service:
        yield service


async def refusal(client: Client, *, admin: bool = False) -> str:
    """The reason of what happens, or nothing."""
    try:
        if admin:
            await client.admin.ListDatabases(pb.ListDatabasesRequest(), metadata=client.metadata)
        else:
            await client.acquire()
    except grpc.aio.AioRpcError as error:
        return reason_of(error)
    return ""


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize(
    ("token", "lease", "admin"),
    [
        ("", "NOT_AUTHENTICATED", "NOT_AUTHENTICATED"),
        ("a-token-of-nobody-here", "NOT_AUTHENTICATED", "NOT_AUTHENTICATED"),
        (TOKEN, "", "NOT_ALLOWED"),
        (ADMIN_TOKEN, "", ""),
    ],
)
async def test_tokens_open_what_they_should(
    guarded: Service, transport: str, token: str, lease: str, admin: str
) -> None:
    async with channel(getattr(guarded, transport), token) as client:
        assert (await refusal(client), await refusal(client, admin=True)) == (lease, admin)


async def test_the_desk_learns_who_asks(guarded: Service) -> None:
    async with channel(guarded.tcp, TOKEN) as client:
        await client.acquire()
    ((who, _, _),) = guarded.desk.asked
    assert who.name == "worker"


async def test_the_scheme_of_the_header_has_no_capitals_or_any(guarded: Service) -> None:
    async with channel(guarded.tcp) as client:
        client.metadata = (("authorization", f"bearer {TOKEN}"),)
        assert await refusal(client) == ""
        client.metadata = (("authorization", f"Basic {TOKEN}"),)
        assert await refusal(client) == "NOT_AUTHENTICATED"


async def test_a_refusal_says_what_to_do_and_shows_no_token(guarded: Service) -> None:
    async with channel(guarded.tcp) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.acquire()
        assert "send authorization: Bearer" in str(error_of(caught.value))
    async with channel(guarded.tcp, "a-token-of-nobody-here") as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.acquire()
        assert "a-token-of-nobody-here" not in str(caught.value)


async def test_without_identities_both_ways_on_this_host_are_open(service: Service) -> None:
    for target in (service.unix, service.tcp):
        async with channel(target) as client:
            assert (await refusal(client), await refusal(client, admin=True)) == ("", "")


async def test_the_socket_is_open_to_those_who_can_prove_something(
    guarded: Service, tmp_path: Path
) -> None:
    assert stat.S_IMODE((tmp_path / "grpc.sock").stat().st_mode) == 0o666


async def test_it_is_closed_where_only_the_own_user_is_known(
    service: Service, tmp_path: Path
) -> None:
    assert stat.S_IMODE((tmp_path / "grpc.sock").stat().st_mode) == 0o600


async def test_the_own_user_may_have_a_name(tmp_path: Path) -> None:
    identities = {"me": {"uids": [os.geteuid()], "tenants": ["acme"]}}
    async with (
        running(settings({"identities": identities}), tmp_path) as service,
        channel(service.unix) as unix,
        channel(service.tcp) as tcp,
    ):
        assert await refusal(unix) == ""
        assert service.desk.asked[0][0].name == "me"
        assert await refusal(unix, admin=True) == "NOT_ALLOWED"
        assert await refusal(tcp) == "NOT_AUTHENTICATED"


async def test_a_socket_that_is_gone_leaves_no_file(tmp_path: Path) -> None:
    async with running(settings(), tmp_path):
        assert (tmp_path / "grpc.sock").is_socket()
    assert list(tmp_path.iterdir()) == []
