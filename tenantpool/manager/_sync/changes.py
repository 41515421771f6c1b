# Generated from ../_async/changes.py by tools/generate_sync.py: do not edit.
"""Lets another configuration be in force while everything runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tenantpool.config.overrides import Overrides
from tenantpool.config.plan import Plan, Planner
from tenantpool.config.roster import Roster
from tenantpool.config.settings import Settings
from tenantpool.errors import ConfigErrors
from tenantpool.journal import report
from tenantpool.manager.capacity import check_room, unkept

from .seating import Seating
from .shell import Shell

_LONGEST_START = 10.0


class Changes:
    """Applies one change after the other, each as a whole or not at all.

    Wherever it awaits, leases go on: nothing takes longer than a few milliseconds between two
    awaits, however many tenants there are.
    """

    def __init__(
        self, seating: Seating, make_shell: Callable[[str], Shell], mark: str | None
    ) -> None:
        self._seating = seating
        self._make_shell = make_shell
        self._mark = mark
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        state = "at work" if self._turn.locked() else "idle"
        return f"<{type(self).__name__} {state}: {self._seating!r}>"

    def plan(self, settings: Settings | None, overrides: Overrides | None) -> Plan:
        """What ``apply`` would change. Raises ConfigError if a capacity has no room for our own."""
        old = self._seating.roster
        return self._plan(old, _changed(old, settings, overrides))

    def _plan(self, old: Roster, new: Roster) -> Plan:
        check_room(new.settings, self._mark)
        planner = Planner(old, new, list(self._seating.seats))
        for _ in planner.steps():
            time.sleep(0)
        plan = planner.plan()
        known = {name: shell.steward.limit for name, shell in self._seating.shells.items()}
        refusals = (*plan.refusals, *unkept(old, new, self._mark, known))
        return replace(plan, refusals=refusals)

    def apply(
        self,
        settings: Settings | None,
        overrides: Overrides | None,
        by: Mapping[str, object],
    ) -> Plan:
        """See ``Manager.apply``."""
        with self._turn:
            old = self._seating.roster
            new = _changed(old, settings, overrides)
            plan = self._plan(old, new)
            if plan.refusals:
                raise ConfigErrors(plan.refusals) if len(plan.refusals) > 1 else plan.refusals[0]
            self._adopt(new)
        for line in plan.lines():
            report(logging.INFO, "configuration changed", what=line, **by)
        return plan

    def relist(self, roster_of: Callable[[Roster], Roster], names: Iterable[str]) -> None:
        """The catalog says something else of the tenants *names*."""
        with self._turn:
            self._seating.adopt(roster_of(self._seating.roster))
            self._seating.reseat(names)

    def _adopt(self, roster: Roster) -> None:
        """First the databases, so that who moves there finds them as they are to be."""
        seating, settings = self._seating, roster.settings
        new = [name for name in settings.databases if name not in seating.shells]
        old = seating.roster.settings
        seating.adopt(roster)
        for name in new:
            seating.shells[name] = shell = self._make_shell(name)
            shell.start().wait(_LONGEST_START)
        if settings is not old:
            for name in settings.databases.keys() - set(new):
                seating.shells[name].adopt(settings)
        seating.reseat(list(seating.seats))

    def tidy(self) -> None:
        """Let go of databases that are configured no more, once nothing is left there.

        Blocks, bounded.
        """
        shells = self._seating.shells
        gone = shells.keys() - self._seating.roster.settings.databases.keys()
        for name in gone:
            if not shells[name].core.used:
                shells.pop(name).retire()


def _changed(old: Roster, settings: Settings | None, overrides: Overrides | None) -> Roster:
    """*old* with what is not None."""
    roster = old if settings is None else old.with_settings(settings)
    return roster if overrides is None else roster.with_overrides(overrides)
