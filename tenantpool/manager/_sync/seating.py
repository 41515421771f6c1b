# Generated from ../_async/seating.py by tools/generate_sync.py: do not edit.
"""Where every tenant is served: its database's shell, and its seat in the core there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from time import monotonic

from tenantpool.concurrency import Lock
from tenantpool.config.resolved import TenantSpec
from tenantpool.config.roster import Roster
from tenantpool.core.tenant import Tenant
from tenantpool.errors import ConnectFailed, UnknownTenant

from .lease import Lease
from .shell import Shell

Seat = tuple[Shell, Tenant]

_SLICE = 100
"""Tenants that are looked at in one go: about a millisecond's work."""


class Seating:
    """Seats tenants as the roster has them, when they are asked for and when it changes.

    ``seats`` holds those that were asked for: most tenants of a roster are not there.
    """

    def __init__(self, roster: Roster) -> None:
        self.roster = roster
        self.shells: dict[str, Shell] = {}
        """By the name of their database."""
        self.seats: dict[str, Seat] = {}
        self.caps: dict[str, int] = {}
        """The caps that differ from their tiers', as scaling has made them."""
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self.seats)} tenants on {len(self.shells)} databases>"

    def seat(self, name: str) -> Seat:
        """Where the tenant is served. Does not block. Raises UnknownTenant."""
        return self.seats.get(name) or self.admit(name)

    def admit(self, name: str) -> Seat:
        """Look a tenant up in the roster, and seat it. Does not block.

        Raises UnknownTenant; ConnectFailed if that is only because the catalog was not read yet.
        """
        with self._lock:
            spec = self._find(name)
            shell = self.shells[spec.pool.database]
            seat = self.seats[name] = (shell, shell.tenant(spec))
        return seat

    def _find(self, name: str) -> TenantSpec:
        roster = self.roster
        try:
            return self._spec(name)
        except UnknownTenant:
            source = roster.settings.catalog_pool
            if roster.known or source is None:
                raise
            text = "the catalog has not been read yet"
            raise ConnectFailed(name, text, database=source.database) from None

    def _spec(self, name: str) -> TenantSpec:
        """What the roster says of the tenant, with the cap that scaling has made for it.

        An operator's override of the tier wins, and so does another tier that does not scale.
        """
        spec = self.roster.tenant(name)
        cap, scale = self.caps.get(name), spec.limits.autoscale
        if cap is None or scale is None or self.roster.overrides.tier(name) is not None:
            return spec
        cap = min(max(cap, scale.floor), scale.ceiling)
        return spec._replace(limits=replace(spec.limits, cap=cap))

    def set_cap(self, name: str, cap: int | None) -> None:
        """Let the tenant's cap be *cap*; None: as its tier has it. Does not block."""
        if cap is None:
            self.caps.pop(name, None)
        else:
            self.caps[name] = cap
        self._reseat(name)

    def forget(self, tenant: Tenant) -> None:
        """Nobody has asked for it for long. Does not block."""
        seat = self.seats.get(tenant.name)
        if seat is not None and seat[1] is tenant:
            del self.seats[tenant.name]
            self.caps.pop(tenant.name, None)

    def came_home(self, tenant: Tenant) -> None:
        """A lease has ended that the tenant still had where it was before. Does not block."""
        seat = self.seats.get(tenant.name)
        if seat is not None:
            shell, here = seat
            shell.step(shell.core.came_home, here)

    # -- another roster ------------------------------------------------------------------------

    def adopt(self, roster: Roster) -> None:
        """Seat whoever is admitted from now on as *roster* has it. Does not block."""
        with self._lock:
            self.roster = roster

    def reseat(self, names: Iterable[str]) -> None:
        """Let the roster be in force for those of *names* that are seated.

        Blocks for a millisecond at most between two awaits, however many there are.
        """
        for number, name in enumerate(names, 1):
            self._reseat(name)
            if number % _SLICE == 0:
                time.sleep(0)

    def _reseat(self, name: str) -> None:
        with self._lock:
            seat = self.seats.get(name)
            if seat is None:
                return
            shell, tenant = seat
            try:
                spec = self._spec(name)
            except UnknownTenant as error:
                shell.step(shell.core.suspend, tenant, error.limit)
                del self.seats[name]
                return
            there = self.shells[spec.pool.database]
            if there is shell:
                shell.change(tenant, spec)
            else:
                self.seats[name] = (there, _move(shell, tenant, there, spec))


def _move(here: Shell, tenant: Tenant, there: Shell, spec: TenantSpec) -> Tenant:
    """Let *tenant* be served on another database: its waiters go along, its leases end here.

    Both locks are held, so that no request is nowhere at any moment.
    """
    seated = there.tenant(spec)
    first, second = sorted((here, there), key=id)
    with first.lock, second.lock:
        abroad = tenant.in_use + tenant.abroad
        requests, left = here.core.leave(monotonic(), tenant)
        seated.take_over(tenant)
        for request in requests:
            assert isinstance(request, Lease)
            request.shell = there
        arrived = there.core.arrive(monotonic(), seated, requests, abroad)
    here.perform(left)
    there.perform(arrived)
    return seated
