"""Sends alerts to one receiver, in order, and again if it does not take them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from random import uniform
from time import monotonic, time
from typing import Final, NamedTuple
from uuid import uuid4

from tenantpool.config.alerts import Webhook
from tenantpool.journal import logger, report

from .board import Alert
from .message import DELIVERY, SIGNATURE, body_of, sign
from .post import Outcome, post

_MOST_QUEUED: Final = 100
_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 60.0


class _Message(NamedTuple):
    """What is to be sent."""

    alert: Alert
    id: str
    """The same at each attempt, so that a receiver can tell that it has had it."""
    queued_at: float


class Sender:
    """The queue of one receiver. Belongs to the event loop that started it."""

    def __init__(
        self, name: str, webhook: Webhook, service: str, first_delay: float = _FIRST_DELAY
    ) -> None:
        """*first_delay*: seconds until the second attempt; each further one takes twice as long."""
        self._first_delay = first_delay
        self.webhook = webhook
        self.delivered = 0
        self.dropped = 0
        """Not taken by the receiver, or too many at a time."""
        self._name = name
        self._service = service
        self._queue: deque[_Message] = deque()
        self._current: _Message | None = None
        self._more = asyncio.Event()
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self._name}: {len(self._queue)} queued,"
            f" {self.delivered} delivered, {self.dropped} dropped>"
        )

    def send(self, alert: Alert) -> None:
        """Queue *alert*, instead of the oldest one if there are too many. Does not block."""
        if self.webhook.least == "critical" and alert.severity != "critical":
            return
        if len(self._queue) >= _MOST_QUEUED:
            self._drop(self._queue.popleft(), "too many wait")
        self._queue.append(_Message(alert, uuid4().hex, monotonic()))
        self._emptied.clear()
        self._more.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"tenantpool-webhook-{self._name}")

    async def close(self, grace: float) -> None:
        """Send what is queued for up to *grace* seconds, then drop the rest. Blocks for that."""
        task, self._task = self._task, None
        if task is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._emptied.wait(), grace)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        left = [*([self._current] if self._current is not None else []), *self._queue]
        self._queue.clear()
        for message in left:
            self._drop(message, "the service is closing")

    async def _run(self) -> None:
        while True:
            self._more.clear()
            while self._queue:
                self._current = self._queue.popleft()
                try:
                    await self._deliver(self._current)
                except Exception:
                    logger.exception("webhook %s failed, going on", self._name)
                self._current = None
            self._emptied.set()
            await self._more.wait()

    async def _deliver(self, message: _Message) -> None:
        delay = self._first_delay
        while True:
            outcome = await self._post(message)
            if outcome.taken:
                self.delivered += 1
                return
            wait = max(uniform(delay / 2, delay), min(outcome.retry_after or 0.0, _LONGEST_DELAY))
            is_late = monotonic() + wait - message.queued_at > self.webhook.give_up_after
            if not outcome.again or is_late:
                self._drop(message, outcome.said)
                return
            report(
                logging.WARNING,
                "webhook not delivered, trying again",
                webhook=self._name,
                alert=message.alert.name,
                said=outcome.said,
                after=wait,
            )
            await asyncio.sleep(wait)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _post(self, message: _Message) -> Outcome:
        """One attempt. The signature is made for each, as it holds the time."""
        webhook = self.webhook
        body = body_of(message.alert, self._service, webhook.template)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "tenantpool",
            DELIVERY: message.id,
        }
        if webhook.secret is not None:
            secret = webhook.secret.get_secret_value().encode()
            headers[SIGNATURE] = sign(secret, time(), body)
        url = webhook.url.get_secret_value()
        return await asyncio.to_thread(post, url, body, headers, webhook.timeout)

    def _drop(self, message: _Message, why: str) -> None:
        self.dropped += 1
        report(
            logging.ERROR,
            "webhook gave up on an alert",
            webhook=self._name,
            alert=message.alert.name,
            state=message.alert.state,
            said=why,
        )
