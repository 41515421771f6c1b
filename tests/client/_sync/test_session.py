# Generated from ../_async/test_session.py by tools/generate_sync.py: do not edit.
"""The conversation with the service: heartbeats, refusals, and a service that goes away."""

from __future__ import annotations

import time
from time import monotonic
from typing import Any

import psycopg
import pytest

from tenantpool.client import LeaseClient
from tenantpool.errors import (
    BreakerOpen,
    LeaseEnded,
    NotAuthenticated,
    QueueFull,
    ServiceUnavailable,
    TenantLimit,
)
from tenantpool.status import to_status
from tenantpool.v1 import session_pb2
from tests.client._sync.helpers import (
    Background,
    Client,
    Oops,
    OpenClient,
    raises,
    wait_until,
)
from tests.client.fake import FakeService
from tests.support.servers import on_latest

pytestmark = on_latest


def use(client: Client, **options: Any) -> None:
    with client.connection("a", **options) as conn:
        assert (conn.execute("select 1")).fetchone() == (1,)


def test_heartbeats_keep_the_session(client: Client, fake: FakeService):
    fake.ttl = 0.3
    with client.connection("a") as conn:
        began = monotonic()
        wait_until(lambda: monotonic() > began + 1.0)
        assert (conn.execute("select 1")).fetchone() == (1,)
    assert len(fake.heard("heartbeat")) >= 5
    assert client.stats().sessions == 1


def test_a_lease_that_the_service_ended(client: Client, fake: FakeService):
    with raises(LeaseEnded, match="revoked by the operator"), client.connection("a") as conn:
        end_lease(client, fake)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    assert client.stats().ended == 1
    use(client)


def test_an_error_that_is_on_its_way_is_not_hidden(client: Client, fake: FakeService):
    with raises(Oops), client.connection("a"):
        end_lease(client, fake)
        raise Oops


def end_lease(client: Client, fake: FakeService) -> None:
    (loan,) = fake.loans.values()
    ended = session_pb2.LeaseEnded(lease_id=loan.lease_id, reason="revoked by the operator")
    fake.notify(ended=ended)
    wait_until(lambda: client.stats().ended)


def test_nothing_is_committed_under_a_lease_that_ended(open_client: OpenClient, fake: FakeService):
    client = open_client(kwargs=None)
    with raises(LeaseEnded), client.connection("a") as conn:
        conn.execute("create table t (x int)")
        end_lease(client, fake)
    with client.connection("a") as conn:
        assert (conn.execute("select to_regclass('t')")).fetchone() == (None,)


def test_a_worker_that_was_stopped_does_not_believe_its_lease(client: Client, fake: FakeService):
    fake.ttl = 0.5
    with raises(LeaseEnded, match="over"), client.connection("a"):
        fake.mute = True  # no heartbeat is answered, as if we had not sent any
        assert client._link.session is not None
        too_late = client._link.session.good_until
        time.sleep(max(0.0, too_late - monotonic()))
        assert monotonic() >= too_late
    fake.mute = False
    use(client)
    assert client.stats().sessions == 2


def test_a_service_that_stops_to_answer_is_noticed(client: Client, fake: FakeService):
    fake.ttl = 0.3
    with raises(LeaseEnded), client.connection("a") as conn:
        fake.mute = True
        wait_until(lambda: client.stats().ended)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")


def test_a_service_that_comes_back(client: Client, fake: FakeService):
    with raises(LeaseEnded), client.connection("a") as conn:
        fake.stop()
        wait_until(lambda: client.stats().ended)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    waiting = Background(use, client, timeout=20)
    wait_until(lambda: client._link.failure is not None)
    fake.start()
    waiting.result()
    assert client.stats().sessions == 2
    assert client.stats().husks == 1


def test_a_service_that_does_not_come_back(client: Client, fake: FakeService):
    fake.stop()
    began = monotonic()
    with pytest.raises(ServiceUnavailable, match="No such file"):
        client.acquire("a", timeout=0.2)
    assert 0.15 < monotonic() - began < 5
    with pytest.raises(ServiceUnavailable):
        client.acquire("a", timeout=0)
    fake.start()
    use(client)


def test_a_service_that_goes_while_we_wait_is_asked_again(client: Client, fake: FakeService):
    use(client)
    fake.mute = True
    waiting = Background(use, client, timeout=20)
    wait_until(lambda: len(fake.heard("acquire")) == 2)
    fake.mute = False
    fake.hang_up()
    waiting.result()
    assert (client.stats().sessions, client.stats().retries) == (2, 1)


def test_no_answer_is_not_waited_for_for_ever(
    client: Client, fake: FakeService, monkeypatch: pytest.MonkeyPatch
):
    use(client)
    monkeypatch.setattr("tenantpool.client.durations._SLACK", 0.05)
    fake.mute = True
    with pytest.raises(ServiceUnavailable, match="no answer"):
        client.acquire("a", timeout=0.05)
    wait_until(lambda: fake.heard("cancel"))
    fake.mute = False
    use(client)


def test_a_lease_that_comes_too_late_is_given_back(
    client: Client, fake: FakeService, monkeypatch: pytest.MonkeyPatch
):
    use(client)
    monkeypatch.setattr("tenantpool.client.durations._SLACK", 0.05)
    fake.mute = True
    with pytest.raises(ServiceUnavailable):
        client.acquire("a", timeout=0.05)
    (late,) = [r for r in fake.said if r.HasField("acquire")][1:]
    fake.mute = False
    fake.answer_now(late)
    wait_until(lambda: not fake.loans)
    assert len(fake.heard("release")) == 2
    use(client)


def test_what_the_service_says_may_be_tried_again(client: Client, fake: FakeService):
    fake.refusals = [to_status(BreakerOpen("a", "breaker", retry_after=0.02))] * 2
    use(client, timeout=20)
    assert client.stats().retries == 2


def test_not_if_there_is_not_enough_time(client: Client, fake: FakeService):
    fake.refusals = [to_status(BreakerOpen("a", "breaker", retry_after=30.0))]
    with pytest.raises(BreakerOpen) as caught:
        use(client, timeout=1)
    assert caught.value.retry_after == 30.0
    assert len(fake.heard("acquire")) == 1


def test_not_without_a_timeout(client: Client, fake: FakeService):
    fake.refusals = [to_status(BreakerOpen("a", "breaker", retry_after=0.01))]
    with pytest.raises(BreakerOpen):
        use(client)


@pytest.mark.parametrize("kind", [TenantLimit, QueueFull])
def test_a_limit_that_was_met_is_not_tried_again(kind: Any, client: Client, fake: FakeService):
    fake.refusals = [
        to_status(
            kind("a", "cap 2", database="main", waited=0.5, retry_after=0.01, holders={"a": 2})
        )
    ]
    with pytest.raises(kind) as caught:
        use(client, timeout=20)
    error = caught.value
    assert (error.tenant, error.limit, error.database) == ("a", "cap 2", "main")
    assert (error.waited, error.holders) == (0.5, {"a": 2})
    assert len(fake.heard("acquire")) == 1
    use(client)


def test_unavailable_without_a_time_is_not_tried_again(client: Client, fake: FakeService):
    status = to_status(BreakerOpen("a", "breaker"))
    del status.details[1:]
    fake.refusals = [status]
    with pytest.raises(BreakerOpen):
        use(client, timeout=20)


def test_a_husk_is_kept_when_a_request_is_refused(client: Client, fake: FakeService):
    use(client)
    fake.refusals = [to_status(QueueFull("a", "full"))]
    with pytest.raises(QueueFull):
        use(client)
    use(client)
    assert client.stats().hand_overs == 1


def test_who_is_not_known_is_told_at_once(client: Client, fake: FakeService):
    fake.greeting = to_status(NotAuthenticated("no such token"))
    with pytest.raises(NotAuthenticated, match="no such token"):
        client.acquire("a", timeout=20)
    fake.greeting = None
    use(client)


def test_something_else_at_the_address(client: Client, fake: FakeService):
    fake.is_mad = True
    with pytest.raises(ServiceUnavailable):
        client.acquire("a", timeout=0.1)


def test_it_needs_a_target(monkeypatch: pytest.MonkeyPatch, postgres: Any):
    monkeypatch.delenv("TENANTPOOL_TARGET", raising=False)
    with pytest.raises(ValueError, match="TENANTPOOL_TARGET"):
        LeaseClient()


def test_the_environment_says_where_and_who(fake: FakeService, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TENANTPOOL_TARGET", f"unix:{fake.folder}/grpc.sock")
    monkeypatch.setenv("TENANTPOOL_TOKEN", "geheim")
    with LeaseClient() as client:
        use(client)
    (hello,) = fake.heard("hello")
    assert hello.token == "geheim"
