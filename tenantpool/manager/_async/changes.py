"""Lets another configuration be in force while everything runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tenantpool.config.overrides import Overrides
from tenantpool.config.plan import Plan, Planner
from tenantpool.config.roster import Roster
from tenantpool.config.settings import Settings
from tenantpool.errors import ConfigErrors
from tenantpool.journal import report
from tenantpool.manager.capacity import check_room, unkept

from .seating import AsyncSeating
from .shell import AsyncShell

_LONGEST_START = 10.0


class AsyncChanges:
    """Applies one change after the other, each as a whole or not at all.

    Wherever it awaits, leases go on: nothing takes longer than a few milliseconds between two
    awaits, however many tenants there are.
    """

    def __init__(
        self, seating: AsyncSeating, make_shell: Callable[[str], AsyncShell], mark: str | None
    ) -> None:
        self._seating = seating
        self._make_shell = make_shell
        self._mark = mark
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        state = "at work" if self._turn.locked() else "idle"
        return f"<{type(self).__name__} {state}: {self._seating!r}>"

    async def plan(self, settings: Settings | None, overrides: Overrides | None) -> Plan:
        """What ``apply`` would change. Raises ConfigError if a capacity has no room for our own."""
        old = self._seating.roster
        return await self._plan(old, _changed(old, settings, overrides))

    async def _plan(self, old: Roster, new: Roster) -> Plan:
        check_room(new.settings, self._mark)
        planner = Planner(old, new, list(self._seating.seats))
        for _ in planner.steps():
            await asyncio.sleep(0)
        plan = planner.plan()
        known = {name: shell.steward.limit for name, shell in self._seating.shells.items()}
        refusals = (*plan.refusals, *unkept(old, new, self._mark, known))
        return replace(plan, refusals=refusals)

    async def apply(
        self,
        settings: Settings | None,
        overrides: Overrides | None,
        by: Mapping[str, object],
    ) -> Plan:
        """See ``AsyncManager.apply``."""
        async with self._turn:
            old = self._seating.roster
            new = _changed(old, settings, overrides)
            plan = await self._plan(old, new)
            if plan.refusals:
                raise ConfigErrors(plan.refusals) if len(plan.refusals) > 1 else plan.refusals[0]
            await self._adopt(new)
        for line in plan.lines():
            report(logging.INFO, "configuration changed", what=line, **by)
        return plan

    async def relist(self, roster_of: Callable[[Roster], Roster], names: Iterable[str]) -> None:
        """The catalog says something else of the tenants *names*."""
        async with self._turn:
            self._seating.adopt(roster_of(self._seating.roster))
            await self._seating.reseat(names)

    async def _adopt(self, roster: Roster) -> None:
        """First the databases, so that who moves there finds them as they are to be."""
        seating, settings = self._seating, roster.settings
        new = [name for name in settings.databases if name not in seating.shells]
        old = seating.roster.settings
        seating.adopt(roster)
        for name in new:
            seating.shells[name] = shell = self._make_shell(name)
            await shell.start().wait(_LONGEST_START)
        if settings is not old:
            for name in settings.databases.keys() - set(new):
                await seating.shells[name].adopt(settings)
        await seating.reseat(list(seating.seats))

    async def tidy(self) -> None:
        """Let go of databases that are configured no more, once nothing is left there.

        Blocks, bounded.
        """
        shells = self._seating.shells
        gone = shells.keys() - self._seating.roster.settings.databases.keys()
        for name in gone:
            if not shells[name].core.used:
                await shells.pop(name).retire()


def _changed(old: Roster, settings: Settings | None, overrides: Overrides | None) -> Roster:
    """*old* with what is not None."""
    roster = old if settings is None else old.with_settings(settings)
    return roster if overrides is None else roster.with_overrides(overrides)
