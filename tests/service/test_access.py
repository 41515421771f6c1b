"""Who gets in over real gRPC, and what they may do there."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tenantpool.v1 import admin_service_pb2 as pb
from tests.support.wait import wait_until_async

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

IDENTITIES: dict[str, dict[str, Any]] = {
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


# -- other rules -------------------------------------------------------------------------------


def adopt(service: Service, identities: dict[str, Any]) -> None:
    rules = settings({"identities": identities}).service
    service.guard.adopt(rules)
    service.rpc.adopt(rules, service.guard)


async def test_a_token_that_is_new_opens_and_one_that_is_gone_does_not(guarded: Service) -> None:
    new = "another-token-of-the-worker"
    worker = {"token": new, "tenants": ["acme"]}
    async with channel(guarded.unix, TOKEN) as old, channel(guarded.unix, new) as other:
        assert (await refusal(old), await refusal(other)) == ("", "NOT_AUTHENTICATED")
        adopt(guarded, {**IDENTITIES, "worker": worker})
        assert (await refusal(old), await refusal(other)) == ("NOT_AUTHENTICATED", "")


async def test_a_socket_is_opened_to_others_when_tokens_come_and_knows_nobody_by_it_then(
    service: Service, tmp_path: Path
) -> None:
    async with channel(service.unix) as before, channel(service.unix, TOKEN) as worker:
        assert await refusal(before) == ""
        adopt(service, {**IDENTITIES, "me": {"uids": [os.geteuid()], "tenants": ["*"]}})
        assert stat.S_IMODE((tmp_path / "grpc.sock").stat().st_mode) == 0o666
        assert await refusal(before) == "NOT_AUTHENTICATED"
        assert await refusal(worker) == ""
        adopt(service, {})
        # It might be somebody else who has connected meanwhile.
        assert await refusal(before) == "NOT_AUTHENTICATED"
        assert not service.rpc.is_private


async def test_who_watches_and_may_not_any_more_sees_nothing_further(guarded: Service) -> None:
    request = pb.WatchRequest()
    request.interval.FromMilliseconds(100)
    async with channel(guarded.unix, ADMIN_TOKEN) as admin:
        watch = admin.admin.Watch(request, metadata=admin.metadata)
        assert (await watch.read()).databases
        adopt(guarded, {"worker": IDENTITIES["worker"]})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch.read()
        assert reason_of(caught.value) == "NOT_AUTHENTICATED"


async def test_a_lower_number_of_calls_holds_at_once(service: Service) -> None:
    service.desk.block()
    async with channel(service.unix) as client:
        waiting = asyncio.ensure_future(client.acquire())
        await wait_until_async(lambda: service.desk.asked, what="the first call")
        service.rpc.adopt(settings({"max_sessions": 1}).service, service.guard)
        assert await refusal(client) == "IDENTITY_LIMIT"
        waiting.cancel()
