"""Alerts on their way to a receiver on a real socket."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tenantpool.config.alerts import Webhook
from tenantpool.observe.alerts.message import DELIVERY, SIGNATURE, verify
from tenantpool.observe.alerts.webhook import Sender
from tests.service.certificates import Authority
from tests.support.wait import wait_until_async

from .receiver import Receiver
from .test_alerts_message import ALERT, OVER

SECRET = "a-secret-of-the-receiver"

Make = Callable[..., Sender]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().running() as receiver:
        yield receiver


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Sender] = []

    def make(url: str, **webhook: Any) -> Sender:
        made.append(Sender("ops", Webhook(url=url, **webhook), "tenantpool", first_delay=0.01))
        return made[-1]

    yield make
    for sender in made:
        await sender.close(0.0)


async def test_an_alert_arrives_signed(receiver: Receiver, make: Make) -> None:
    sender = make(receiver.url, secret=SECRET)
    sender.send(ALERT)
    await wait_until_async(lambda: sender.delivered == 1)
    [got] = receiver.received
    assert got.path == "/hook?key=of-the-receiver"
    assert got.json["alert"] == "Saturated"
    assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    assert verify(SECRET.encode(), got.headers[SIGNATURE], got.body, time.time())
    assert not verify(b"another", got.headers[SIGNATURE], got.body, time.time())


async def test_without_a_secret_nothing_is_signed(receiver: Receiver, make: Make) -> None:
    sender = make(receiver.url, template="slack")
    sender.send(ALERT)
    await wait_until_async(lambda: sender.delivered == 1)
    assert SIGNATURE not in receiver.received[0].headers
    assert "attachments" in receiver.received[0].json


async def test_what_is_not_taken_is_sent_again_under_the_same_id_and_in_order(
    receiver: Receiver, make: Make
) -> None:
    receiver.answers = [503, 429, 204]
    sender = make(receiver.url)
    sender.send(ALERT)
    sender.send(OVER)
    await wait_until_async(lambda: sender.delivered == 2)
    states = [got.json["status"] for got in receiver.received]
    assert states == ["firing", "firing", "firing", "resolved"]
    ids = [got.headers[DELIVERY] for got in receiver.received]
    assert ids[0] == ids[1] == ids[2] != ids[3]


@pytest.mark.parametrize("status", [400, 404, 301, 307])
async def test_what_will_never_be_taken_is_given_up(
    make: Make, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver(status, headers={"Location": "/elsewhere"}).running() as receiver:
        sender = make(receiver.url)
        sender.send(ALERT)
        await wait_until_async(lambda: sender.dropped == 1)
        assert len(receiver.received) == 1
    assert f"HTTP {status}" in caplog.text


async def test_a_receiver_that_is_away_gets_it_once_it_is_back(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        address = f"http://127.0.0.1:{place.getsockname()[1]}/"
    sender = make(address)
    sender.send(ALERT)
    with Receiver().running() as receiver:
        sender.webhook = Webhook(url=receiver.url)
        await wait_until_async(lambda: sender.delivered == 1)


async def test_after_a_while_it_is_given_up(make: Make) -> None:
    with Receiver(*[500] * 100).running() as receiver:
        sender = make(receiver.url, give_up_after=1.0)
        sender.send(ALERT)
        await wait_until_async(lambda: sender.dropped == 1)
        assert len(receiver.received) > 1


async def test_a_receiver_that_does_not_answer_holds_up_nobody_for_longer_than_timeout(
    receiver: Receiver, make: Make
) -> None:
    receiver.goes_on.clear()
    sender = make(receiver.url, timeout=0.05, give_up_after=0.01)
    sender.send(ALERT)
    await wait_until_async(lambda: sender.dropped == 1)


async def test_the_queue_is_bounded_and_the_oldest_goes(receiver: Receiver, make: Make) -> None:
    receiver.goes_on.clear()
    sender = make(receiver.url)
    for number in range(150):
        sender.send(replace(ALERT, value=float(number)))
    await wait_until_async(lambda: receiver.received)
    assert sender.dropped == 50
    receiver.goes_on.set()
    await wait_until_async(lambda: sender.delivered == 100)
    assert receiver.received[-1].json["value"] == 149


async def test_only_what_is_severe_enough_is_sent(receiver: Receiver, make: Make) -> None:
    sender = make(receiver.url, least="critical")
    sender.send(ALERT)
    sender.send(replace(ALERT, severity="critical"))
    await wait_until_async(lambda: sender.delivered == 1)
    assert [got.json["severity"] for got in receiver.received] == ["critical"]


async def test_what_is_queued_is_sent_before_it_stops(receiver: Receiver, make: Make) -> None:
    sender = make(receiver.url)
    sender.send(ALERT)
    await sender.close(10.0)
    assert (sender.delivered, sender.dropped) == (1, 0)


async def test_a_stop_does_not_wait_for_a_receiver_that_is_away(make: Make) -> None:
    with Receiver(*[500] * 1000).running() as receiver:
        sender = make(receiver.url)
        sender.send(ALERT)
        await wait_until_async(lambda: receiver.received)
        await sender.close(0.05)
        assert sender.dropped == 1


async def test_neither_the_url_nor_the_secret_is_logged(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Receiver(500, 400).running() as receiver:
        sender = make(receiver.url, secret=SECRET)
        sender.send(ALERT)
        await wait_until_async(lambda: sender.dropped == 1)
    said = f"{caplog.text} {sender!r} {sender.webhook!r}"
    assert "of-the-receiver" not in said
    assert "trying again" in caplog.text


def context_of(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("receiver", "receiver", "IP:127.0.0.1"))
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Receiver().running(context_of(Authority(tmp_path))) as receiver:
        sender = make(receiver.url, give_up_after=0.01)
        sender.send(ALERT)
        await wait_until_async(lambda: sender.dropped == 1)
        assert receiver.received == []
    assert "SSLCertVerificationError" in caplog.text


async def test_a_certificate_of_an_authority_that_is_trusted_is_taken(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    with Receiver().running(context_of(authority)) as receiver:
        sender = make(receiver.url)
        sender.send(ALERT)
        await wait_until_async(lambda: sender.delivered == 1)
