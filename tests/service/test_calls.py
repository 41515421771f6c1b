"""Unary calls over real gRPC: their status, their deadlines, their limits."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from tenantpool import errors
from tenantpool.errors import Refused, TenantpoolError
from tenantpool.v1.lease_pb2 import LeaseRef, ReleaseLeaseRequest, RenewLeasesRequest
from tests.support.wait import wait_until_async

from .support import (
    Client,
    Service,
    channel,
    error_of,
    reason_of,
    running,
    settings,
    status_of,
    trailers_of,
)

S = grpc.StatusCode

ROWS = [
    (errors.TenantLimit, S.RESOURCE_EXHAUSTED, "TENANT_LIMIT"),
    (errors.DatabaseLimit, S.RESOURCE_EXHAUSTED, "DATABASE_LIMIT"),
    (errors.QueueFull, S.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
    (errors.RateLimited, S.RESOURCE_EXHAUSTED, "RATE_LIMIT"),
    (errors.BreakerOpen, S.UNAVAILABLE, "BREAKER_OPEN"),
    (errors.Draining, S.UNAVAILABLE, "DRAINING"),
    (errors.UnknownTenant, S.NOT_FOUND, "UNKNOWN_TENANT"),
    (errors.LeaseEnded, S.NOT_FOUND, "LEASE_EXPIRED"),
    (errors.StaleToken, S.ABORTED, "STALE_TOKEN"),
    (errors.RequestConflict, S.INVALID_ARGUMENT, "REQUEST_ID_CONFLICT"),
    (errors.NotAllowed, S.PERMISSION_DENIED, "NOT_ALLOWED"),
    (errors.NotAuthenticated, S.UNAUTHENTICATED, "NOT_AUTHENTICATED"),
]


def example(cls: type[TenantpoolError]) -> TenantpoolError:
    if not issubclass(cls, Refused):
        return cls("acme/w/1: no")
    holders = {"acme": 2, "globex": 1}
    cause = OSError("no route to host")
    return cls("acme", "2 at most", waited=1.5, retry_after=0.2505, holders=holders, cause=cause)


@pytest.mark.parametrize(("cls", "code", "reason"), ROWS)
async def test_a_refusal_arrives_with_all_that_is_known(
    service: Service,
    client: Client,
    cls: type[TenantpoolError],
    code: grpc.StatusCode,
    reason: str,
) -> None:
    error = example(cls)
    service.desk.fail(error)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.acquire()
    assert caught.value.code() is code
    assert caught.value.details() == str(error)
    assert reason_of(caught.value) == reason
    back = error_of(caught.value)
    assert (type(back), str(back)) == (cls, str(error))
    pushback = trailers_of(caught.value).get("grpc-retry-pushback-ms")
    assert pushback == ("251" if code is S.UNAVAILABLE else None)


async def test_a_client_that_follows_the_service_config_retries_when_it_was_told_to(
    service: Service,
) -> None:
    tries = 0

    async def fail_once() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise errors.BreakerOpen("acme", "open", retry_after=0.001)

    service.desk.on_acquire = fail_once
    policy = (
        '{"methodConfig": [{"name": [{"service": "tenantpool.v1.LeaseService"}], "retryPolicy": '
        '{"maxAttempts": 3, "initialBackoff": "60s", "maxBackoff": "60s", "backoffMultiplier": 1, '
        '"retryableStatusCodes": ["UNAVAILABLE"]}}]}'
    )
    options = [("grpc.service_config", policy)]
    async with grpc.aio.insecure_channel(service.unix, options=options) as made:
        await Client(made, "").acquire(timeout=10)
    assert tries == 2


async def test_a_bug_is_logged_here_and_not_told(
    service: Service, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    service.desk.fail(ZeroDivisionError("secret of the house"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.acquire()
    assert caught.value.code() is S.INTERNAL
    assert "secret" not in str(status_of(caught.value))
    assert "secret of the house" in caplog.text


# -- answers -----------------------------------------------------------------------------------


async def test_a_grant_says_how_long_it_lives_and_how_soon_it_must_be_used(client: Client) -> None:
    lease = (await client.acquire()).lease
    assert (lease.lease_id, lease.ttl.seconds, lease.confirm_within.seconds) == ("acme/1", 30, 5)


async def test_renewals_and_releases_go_to_the_desk(service: Service, client: Client) -> None:
    refs = [LeaseRef(lease_id="a/1"), LeaseRef(lease_id="b/2")]
    renewed = await client.leases.RenewLeases(RenewLeasesRequest(leases=refs))
    assert [renewal.lease_id for renewal in renewed.renewals] == ["a/1", "b/2"]
    await client.leases.ReleaseLease(ReleaseLeaseRequest(lease=refs[0], broken=True))
    ((identity, ref, broken),) = service.desk.ledger.released
    assert (identity.name, ref.lease_id, broken) == ("local", "a/1", True)


async def test_nobody_renews_to_zero(client: Client) -> None:
    request = RenewLeasesRequest()
    request.ttl.FromSeconds(0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.leases.RenewLeases(request)
    assert reason_of(caught.value) == "BAD_REQUEST"


# -- deadlines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0.5, 5, 10.01, 45.01, 100.05, 1000.5])
async def test_the_desk_knows_how_long_the_caller_waits(
    service: Service, client: Client, timeout: float
) -> None:
    await client.acquire(timeout=timeout)
    ((_, _, within),) = service.desk.asked
    assert within is not None
    assert 0 < within <= timeout


async def test_a_caller_without_a_deadline_has_none(service: Service, client: Client) -> None:
    await client.acquire()
    ((_, _, within),) = service.desk.asked
    assert within is None


async def test_a_caller_that_gives_up_leaves_nothing_behind(
    service: Service, client: Client
) -> None:
    service.desk.block()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.acquire(timeout=0.05)
    assert caught.value.code() is S.DEADLINE_EXCEEDED
    await wait_until_async(lambda: service.desk.cancelled == 1)
    call = asyncio.ensure_future(client.acquire())
    await wait_until_async(lambda: len(service.desk.asked) == 2)
    call.cancel()
    await wait_until_async(lambda: service.desk.cancelled == 2)
    assert "0 of" in repr(service.rpc)


# -- limits ------------------------------------------------------------------------------------


async def test_a_request_that_is_too_long_is_refused(service: Service, client: Client) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.acquire("x" * service.desk.rules.max_request_size)
    assert caught.value.code() is S.RESOURCE_EXHAUSTED
    assert service.desk.asked == []


async def test_calls_that_are_too_many_are_refused(tmp_path) -> None:
    async with (
        running(settings({"max_sessions": 2}), tmp_path) as service,
        channel(service.unix) as client,
        channel(service.unix) as another,
    ):
        service.desk.block()
        waiting = [asyncio.ensure_future(client.acquire()) for _ in range(2)]
        await wait_until_async(lambda: len(service.desk.asked) == 2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await another.acquire()
        assert reason_of(caught.value) == "IDENTITY_LIMIT"
        for call in waiting:
            call.cancel()


# -- the end -----------------------------------------------------------------------------------


async def test_stopping_refuses_those_who_wait_with_a_reason(
    service: Service, client: Client
) -> None:
    service.desk.block()
    call = asyncio.ensure_future(client.acquire())
    await wait_until_async(lambda: len(service.desk.asked) == 1)
    await service.rpc.stop()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert reason_of(caught.value) == "DRAINING"
    assert service.desk.cancelled == 1
    assert service.rpc.addresses == []
    await service.rpc.stop()
