# Generated from ../_async/runtime.py by tools/generate_sync.py: do not edit.
"""What runs while a manager is open."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from psycopg import Connection

from tenantpool import forks, tracing
from tenantpool.config import Settings
from tenantpool.config.overrides import Overrides
from tenantpool.config.plan import Plan
from tenantpool.config.roster import Roster
from tenantpool.errors import ConfigError, ManagerClosed
from tenantpool.insight.insight import Insight
from tenantpool.journal import report
from tenantpool.manager.recent import Recorder
from tenantpool.manager.register import Register

from .catalog import Catalog
from .changes import Changes
from .clock import Clock
from .lease import Lease
from .scaling import Scaling
from .seating import Seat, Seating
from .shell import Shell
from .watched import WatchedLease, sight

_LONGEST_START = 60.0


class Runtime:
    """A shell for each database, the clock that moves them, and what follows the catalog.

    The arguments are those of the manager.
    """

    def __init__(
        self,
        roster: Roster,
        connection_class: type[Connection[Any]],
        kwargs: Mapping[str, Any],
        configure: Callable[[Connection[Any]], None] | None,
        mark: str | None,
        register: Path | None,
    ) -> None:
        self._connection_class = connection_class
        self._kwargs = kwargs
        self._configure = configure
        self._mark = mark
        self._register = Register(register) if mark is not None and register is not None else None
        self.state = "not open yet"
        self.seating = Seating(roster)
        self.shells = self.seating.shells
        self.changes = Changes(self.seating, self._make_shell, mark)
        self._catalog = Catalog(self.seating, self.changes, mark)
        self.scaling = Scaling(self.seating)
        self.recorder = Recorder(self.shells)
        self._look_into(roster.settings)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.state}: {len(self.shells)} databases>"

    @property
    def settings(self) -> Settings:
        """The configuration that is in force."""
        return self.seating.roster.settings

    @property
    def is_open(self) -> bool:
        """Whether leases may be asked for."""
        return self.state == "open"

    def check_open(self) -> None:
        """Raises ManagerClosed."""
        if not self.is_open:
            raise ManagerClosed(f"the manager is {self.state}")

    # -- life ----------------------------------------------------------------------------------

    def open(self) -> None:
        """Start all of it; see ``Manager.open``."""
        if self.state != "not open yet":
            raise ManagerClosed(f"the manager is {self.state} and can't be opened")
        self.state = "open"
        tracing.find()
        if self._register is not None:
            self._register.open()
        self._clock = Clock(self._wake, self._sweep, lambda: self.settings.sweep_interval)
        self.shells |= {name: self._make_shell(name) for name in self.settings.databases}
        forks.watch(self)
        self._clock.start()
        try:
            for answer in [shell.start() for shell in self.shells.values()]:
                answer.wait(_LONGEST_START)
            self._check_guarantees()
            self._catalog.start().wait(_LONGEST_START)
        except BaseException:
            self.close(0.0)
            raise

    def close(self, grace: float) -> int:
        """End all of it; see ``Manager.close``."""
        if not self.is_open:
            return 0
        self.state = "closed"
        self.seating.seats.clear()
        deadline = monotonic() + grace
        self._clock.stop()
        self._catalog.stop()
        self.refuse()
        revoked = 0
        for shell in self.shells.values():
            revoked += shell.close(max(0.0, deadline - monotonic()))
        if self._register is not None:
            self._register.close()
        return revoked

    def refuse(self) -> None:
        """Refuse whoever waits, and every request from now on. Does not block."""
        for shell in self.shells.values():
            shell.step(shell.core.shutdown)

    def _make_shell(self, name: str) -> Shell:
        return Shell(
            name,
            self.settings,
            alarm=self._clock.ring_at,
            seating=self.seating,
            connection_class=self._connection_class,
            kwargs=self._kwargs,
            configure=self._configure,
            mark=self._mark,
            register=self._register,
            insight=self.insight,
        )

    def _check_guarantees(self) -> None:
        for shell in self.shells.values():
            size = shell.steward.size
            if not size:
                continue
            self.settings.check_capacity(shell.name, size)
            try:
                self.seating.roster.check_capacity(shell.name, size)
            except ConfigError as error:  # by overrides: no reason not to start
                report(logging.WARNING, "guarantees can't be kept", error=error)

    def _disown(self) -> None:
        """This process is a fork of the one that opened the manager."""
        self.state = "of the parent process: make one in each process"
        self.seating.seats.clear()
        for shell in self.shells.values():
            shell.disown()
        if self._register is not None:
            self._register.disown()

    # -- while it lasts ------------------------------------------------------------------------

    def admit(self, name: str) -> Seat:
        """Look a tenant up in the roster, once. Raises UnknownTenant, and ManagerClosed."""
        self.check_open()
        return self.seating.admit(name)

    def apply(
        self, settings: Settings | None, overrides: Overrides | None, by: Mapping[str, object]
    ) -> Plan:
        """Let another configuration be in force; see ``Manager.apply``."""
        self.check_open()
        before = self.settings.insight
        plan = self.changes.apply(settings, overrides, by)
        if self.settings.insight != before:
            self._look_into(self.settings)
        self._catalog.keep_up()
        return plan

    def _look_into(self, settings: Settings) -> None:
        """Look at statements from now on, or no more; leases in use go on as they are."""
        wanted = settings.insight
        self.insight = Insight(wanted.options()) if wanted.enabled else None
        self._lookout = self.insight.lookout() if self.insight is not None else None
        self.lease_class = Lease if self.insight is None else WatchedLease
        for shell in self.shells.values():
            shell.insight = self.insight or shell.insight

    def leases(self) -> list[Lease]:
        """The leases in use. Does not block."""
        return [lease for shell in self.shells.values() for lease in shell.leases()]

    def _wake(self) -> None:
        for shell in list(self.shells.values()):
            shell.step(shell.core.wake)

    def _sweep(self) -> None:
        for shell in list(self.shells.values()):
            shell.sweep()
        self.scaling.sweep()
        self.recorder.sweep(monotonic())
        self.changes.tidy()
        if self._lookout is not None:
            self._lookout.look(monotonic(), map(sight, self.leases()))
