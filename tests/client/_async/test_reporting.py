"""What a client tells the service of its query insight."""

from __future__ import annotations

from tenantpool.insight import Insight, Options
from tenantpool.v1.session_pb2 import Finding
from tests.client._async.helpers import Client, OpenClient, open_client, wait_until
from tests.client.fake import FakeService

__all__ = ["open_client"]

ALWAYS = 1e-6
SIZE = 16_384


async def open_watched(open_client: OpenClient, fake: FakeService, size: int = SIZE) -> Client:
    """A client that finds every statement slow, and soon says so."""
    fake.ttl = 0.6
    fake.max_findings_size = size
    return await open_client(insight=Insight(Options(slow=ALWAYS)))


async def run(client: Client, query: str = "select 'secret'") -> None:
    async with client.connection("a") as conn:
        await conn.execute(query)


def said(fake: FakeService) -> list[Finding]:
    return [finding for beat in fake.heard("heartbeat") for finding in beat.findings]


async def test_findings_go_with_the_next_heartbeat(open_client: OpenClient, fake: FakeService):
    client = await open_watched(open_client, fake)
    await run(client)
    await wait_until(lambda: bool(said(fake)))
    [finding] = said(fake)
    assert (finding.tenant, finding.statement, finding.times) == ("a", "select ?", 1)
    assert " in run" in finding.place
    assert "secret" not in str(fake.said)


async def test_a_heartbeat_says_nothing_when_there_is_nothing(
    open_client: OpenClient, fake: FakeService
):
    client = await open_watched(open_client, fake)
    await run(client)
    await wait_until(lambda: len(fake.heard("heartbeat")) >= 3)
    assert sorted(len(beat.findings) for beat in fake.heard("heartbeat"))[-2:] == [0, 1]


async def test_a_service_hears_of_it_only_if_it_is_new_enough(
    open_client: OpenClient, fake: FakeService
):
    client = await open_watched(open_client, fake, size=0)
    await run(client)
    await wait_until(lambda: len(fake.heard("heartbeat")) >= 3)
    assert said(fake) == []
    assert client.stats().sessions == 1
    fake.max_findings_size = SIZE  # it is replaced by one that wants to hear
    fake.hang_up()
    await run(client, "select 1 + 1")
    await wait_until(lambda: len(said(fake)) >= 2)
    assert {finding.statement for finding in said(fake)} == {"select ?", "select ? + ?"}


async def test_what_was_not_answered_is_said_to_the_next_session(
    open_client: OpenClient, fake: FakeService
):
    client = await open_watched(open_client, fake)
    await run(client)
    fake.mute = True
    await wait_until(lambda: bool(said(fake)))
    fake.mute = False
    fake.hang_up()
    before = len(said(fake))
    await run(client, "select 1 + 1")
    await wait_until(lambda: len(said(fake)) >= before + 2)
    assert {f.statement for f in said(fake)[before:]} == {"select ?", "select ? + ?"}


async def test_the_last_findings_are_said_before_goodbye(
    open_client: OpenClient, fake: FakeService
):
    client = await open_watched(open_client, fake)
    fake.ttl = 60.0
    await run(client)
    await client.close()
    kinds = [request.WhichOneof("request") for request in fake.said]
    assert len(said(fake)) == 1
    assert kinds.index("heartbeat") < kinds.index("goodbye")
