"""What to set, for whoever looks: found now and then, beside what must not wait for it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf
from time import monotonic
from typing import Final

from tenantpool.journal import logger
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager.advice import Advice, Server, advise
from tenantpool.manager.health import Status, judge
from tenantpool.manager.recent import Recent
from tenantpool.service.turns import short_turns

_SLICE: Final = 50
"""Tenants that are read before others may go on: about half a millisecond."""
_REST: Final = 10.0
"""Seconds until advice is found anew, and more for each tenant, so that it stays cheap."""
_REST_EACH: Final = 0.005
_TOO_OLD: Final = 120.0


@dataclass(frozen=True, slots=True)
class Counsel:
    """Advice, all of it and by tenant."""

    advice: Sequence[Advice] = ()
    _by_tenant: Mapping[str, Sequence[Advice]] = field(default_factory=dict)

    def of(self, tenant: str) -> list[Advice]:
        """What to do for *tenant*, told as if there were no other."""
        return [replace(what, tenants=(tenant,)) for what in self._by_tenant.get(tenant, ())]


class Advisor:
    """Finds advice while somebody looks: ``manager.health().advice``, but some at a time.

    Belongs to the event loop in which it is used.
    """

    def __init__(self, manager: AsyncManager) -> None:
        self._manager = manager
        self._counsel = Counsel()
        self._due = -inf
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._counsel.advice)} pieces of advice>"

    async def counsel(self) -> Counsel:
        """The latest advice. Blocks only where there is none yet, or none but of long ago."""
        now = monotonic()
        if self._task is None and now >= self._due:
            self._task = asyncio.create_task(self._find(now), name="tenantpool-advice")
        if self._task is not None and now >= self._due + _TOO_OLD:
            await asyncio.shield(self._task)
        return self._counsel

    async def close(self) -> None:
        """Stop what is under way. Blocks for a moment."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _find(self, now: float) -> None:
        count = 0
        try:
            with _no_collection():
                self._counsel, count = await self._counsel_at(now)
        except Exception:
            logger.exception("advice could not be found, going on")
        finally:
            self._due = monotonic() + _REST + _REST_EACH * count
            self._task = None

    async def _counsel_at(self, now: float) -> tuple[Counsel, int]:
        """With how many tenants it was made from."""
        found: list[Recent] = []
        rest = self._manager.recorder.recent(now)
        while some := list(islice(rest, _SLICE)):
            found += some
            await asyncio.sleep(0)
        servers = [shell.server for shell in self._manager.shells.values()]
        return await asyncio.to_thread(_counsel, servers, found), len(found)


@contextmanager
def _no_collection() -> Iterator[None]:
    """What is made inside is gone at the end: no reason to look through all objects there are.

    That would keep the event loop waiting for a tenth of a second where there are many tenants.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _counsel(servers: Sequence[Server], recent: Sequence[Recent]) -> Counsel:
    """For a thread: with many tenants it takes a while."""
    with short_turns():
        unhappy = frozenset(tenant.tenant for tenant in recent if not _is_well(tenant))
        advice = advise(servers, recent, unhappy)
        by_tenant: dict[str, tuple[Advice, ...]] = {}
        for what in advice:
            alone = (what,)  # shared, as one advice can be for ten thousand
            for name in what.tenants:
                by_tenant[name] = by_tenant[name] + alone if name in by_tenant else alone
        return Counsel(advice, by_tenant)


def _is_well(tenant: Recent) -> bool:
    return judge(tenant.breaker, tenant.wait_mean, tenant.refusal_rate) is Status.HEALTHY
