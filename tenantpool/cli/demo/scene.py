"""What the acts of the demo see and use, and how they wait for what must come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import NamedTuple, TypeVar

from tenantpool.cli.demo.diary import Diary, Event
from tenantpool.cli.demo.sampler import Sampler
from tenantpool.cli.demo.troupe import Troupe
from tenantpool.manager.stats import TenantStats
from tenantpool.service.server import Server

T = TypeVar("T")

_POLL = 0.02


class Scene(NamedTuple):
    """The service, its workers, and the diary; it lasts for *seconds*."""

    server: Server
    troupe: Troupe
    sampler: Sampler
    diary: Diary
    seconds: float

    async def at(self, part: float) -> None:
        """Wait until this *part* of the time is over, 0 to 1."""
        await asyncio.sleep(self.diary.began + part * self.seconds - monotonic())

    async def heard(self, name: str, *about: str) -> Event:
        """Wait until tenantpool logs this event, with all of *about* as values of its fields."""
        return await until(lambda: self._event(name, about))

    def tenant(self, name: str) -> TenantStats | None:
        """What the manager has counted of it; None: nobody has asked for it yet."""
        return self.server.manager.stats().tenants.get(name)

    def slot_seconds(self, name: str) -> tuple[float, float]:
        """Those of one tenant, and of all, so far."""
        tenants = self.server.manager.stats().tenants
        return tenants[name].held, sum(tenant.held for tenant in tenants.values())

    def _event(self, name: str, about: Sequence[str]) -> Event | None:
        events = (event for event in self.diary.events if event.name == name)
        return next((e for e in events if {*about} <= {*e.fields.values()}), None)


async def until(look: Callable[[], T | None]) -> T:
    """Wait until *look* returns something that is true, and return that."""
    while not (found := look()):  # noqa: ASYNC110 - nobody tells of what is counted
        await asyncio.sleep(_POLL)
    return found
