"""Looks every few seconds, and tells the log and the webhooks what fires and what is over."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic, time
from typing import Final

from tenantpool.config.alerts import Alerts as Rules
from tenantpool.journal import logger, report
from tenantpool.manager._async.manager import AsyncManager

from .board import FIRING, PENDING, Alert, Board
from .rules import find
from .sight import Past, Sight, look
from .webhook import Sender

_KEPT: Final = 100
_LAST_WORDS: Final = 2.0
"""Seconds that what is queued for webhooks has when the service stops."""
_LEVELS: Final = {"critical": logging.ERROR, "warning": logging.WARNING}


def _nothing_wrong() -> str:
    return ""


class Alerts:
    """The alerts of one service. Belongs to the event loop that started it.

    Follows the section ``alerts`` of the settings that are in force at each look.
    """

    def __init__(
        self, manager: AsyncManager, reload_problem: Callable[[], str] = _nothing_wrong
    ) -> None:
        """*reload_problem* says why the last reload was refused; nothing if it was not."""
        self.told: deque[Alert] = deque(maxlen=_KEPT)
        """What fired and what was resolved, the newest first."""
        self._manager = manager
        self._reload_problem = reload_problem
        self._board = Board()
        self._past = Past()
        self._senders: dict[str, Sender] = {}
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._board!r}>"

    # -- what is on ----------------------------------------------------------------------------

    def firing(self) -> list[Alert]:
        """The alerts that fire, the oldest first."""
        return self._board.alerts(FIRING)

    def pending(self) -> list[Alert]:
        """Those that will fire if it stays like this."""
        return self._board.alerts(PENDING)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many fire, by name and severity; 0 for those that could."""
        firing = Counter((alert.name, alert.severity) for alert in self.firing())
        rules = self._rules.rules.items()
        return {(name, rule.severity): 0 for name, rule in rules} | dict(firing)

    @property
    def senders(self) -> Sequence[Sender]:
        """The webhooks at work."""
        return list(self._senders.values())

    # -- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look. Does not block."""
        self._task = asyncio.create_task(self._run(), name="tenantpool-alerts")

    async def stop(self) -> None:
        """Stop, and let webhooks send what is queued. Blocks for two seconds at most."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        senders, self._senders = self._senders, {}
        await asyncio.gather(*(sender.close(_LAST_WORDS) for sender in senders.values()))

    def look(self, now: float, at: float, sight: Sight) -> Sequence[Alert]:
        """Judge what is seen *now* (steady clock; *at* since the epoch); tell what follows."""
        self._past.note(now, sight)
        rules = self._rules
        told = self._board.update(now, at, find(now, sight, self._past, rules), rules.rules)
        for alert in told:
            self._tell(alert)
        return told

    @property
    def _rules(self) -> Rules:
        return self._manager.settings.alerts

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
                self.look(monotonic(), time(), look(self._manager, self._reload_problem()))
            except Exception:
                logger.exception("the alerts failed, going on")
            await asyncio.sleep(self._rules.interval)

    async def _follow(self) -> None:
        """Webhooks may have come, gone or changed."""
        wanted = self._rules.webhooks
        for name, sender in list(self._senders.items()):
            if name not in wanted:
                del self._senders[name]
                await sender.close(0.0)
            elif sender.webhook != wanted[name]:
                sender.webhook = wanted[name]  # the next attempt goes there
        for name in wanted.keys() - self._senders.keys():
            service = self._manager.settings.service.name
            self._senders[name] = Sender(name, wanted[name], service)

    def _tell(self, alert: Alert) -> None:
        self.told.appendleft(alert)
        level = _LEVELS[alert.severity] if alert.state == FIRING else logging.INFO
        report(
            level,
            f"alert {alert.state}",
            alert=alert.name,
            severity=alert.severity,
            **alert.labels,
            summary=alert.summary,
        )
        for sender in self._senders.values():
            sender.send(alert)
