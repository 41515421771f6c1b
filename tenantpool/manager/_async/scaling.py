"""Lets the caps of tenants follow what they use, where their tiers say so."""

from __future__ import annotations

import logging
from collections import deque
from time import monotonic

from tenantpool.core.autoscale import Autoscale, AutoscaleLimits, CapChange
from tenantpool.core.tenant import Tenant
from tenantpool.journal import report
from tenantpool.manager.scaled import Scaled, active_tenants, slot_seconds

from .seating import AsyncSeating
from .shell import AsyncShell

_KEPT = 100
"""Changes that are remembered."""


class _Scale:
    """A tenant whose use is followed."""

    __slots__ = ("autoscale", "held", "taken_at", "tenant")

    def __init__(self, now: float, tenant: Tenant, limits: AutoscaleLimits) -> None:
        self.tenant = tenant
        self.autoscale = Autoscale(limits)
        self.taken_at = now
        self.held = slot_seconds(now, tenant)

    def look(self, now: float, limits: AutoscaleLimits, capacity: int) -> CapChange | None:
        """Take a sample if it is time, and say what follows from it."""
        self.autoscale.adopt(limits)
        seconds = now - self.taken_at
        if seconds < limits.interval:
            return None
        held = slot_seconds(now, self.tenant)
        in_use, self.taken_at, self.held = max(0.0, held - self.held) / seconds, now, held
        return self.autoscale.note(now, in_use, self.tenant.limits.cap, capacity)


class AsyncScaling:
    """Changes caps, one tenant at a time, from the manager's upkeep.

    A cap that was changed stays until the tenant is forgotten. An operator wins: a tenant whose
    tier was overridden is left alone, and so is one of which ``undo`` was called.
    """

    def __init__(self, seating: AsyncSeating) -> None:
        self.changes: deque[Scaled] = deque(maxlen=_KEPT)
        """The last changes, the newest first."""
        self.left_alone: set[str] = set()
        """Tenants of which ``undo`` was called."""
        self._seating = seating
        self._scales: dict[str, _Scale] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} follows {len(self._scales)} tenants>"

    def undo(self, tenant: str) -> None:
        """Give *tenant* the cap of its tier again, and leave it alone. Does not block."""
        self.left_alone.add(tenant)
        self._scales.pop(tenant, None)
        self._seating.set_cap(tenant, None)
        report(logging.INFO, "scaling undone", tenant=tenant)

    def resume(self, tenant: str) -> None:
        """End what ``undo`` began. Does not block."""
        self.left_alone.discard(tenant)

    def sweep(self) -> None:
        """Take the samples that are due. Does not block; 3 µs for each tenant that is busy."""
        tiers = self._seating.roster.settings.tiers.values()
        if not any(tier.autoscale for tier in tiers):
            self._scales.clear()
            return
        now = monotonic()
        for shell in list(self._seating.shells.values()):
            self._follow(now, shell)
        for name, scale in list(self._scales.items()):
            self._look(now, name, scale)

    def _follow(self, now: float, shell: AsyncShell) -> None:
        """Begin with tenants that have become active."""
        with shell.lock:
            active = active_tenants(now, shell.core)
        for tenant in active:
            limits, name = tenant.limits.autoscale, tenant.name
            known = self._scales.get(name)
            if limits is None or tenant.forgotten or (known and known.tenant is tenant):
                continue
            if name not in self.left_alone:
                with shell.lock:
                    self._scales[name] = _Scale(now, tenant, limits)

    def _look(self, now: float, name: str, scale: _Scale) -> None:
        tenant = scale.tenant
        shell, seated = self._seating.seats.get(name, (None, None))
        limits = tenant.limits.autoscale
        if shell is None or seated is not tenant or limits is None or self._is_overridden(name):
            self._scales.pop(name, None)
            return
        with shell.lock:
            change = scale.look(now, limits, shell.core.limits.capacity)
        if change is not None and name not in self.left_alone:
            self._make(name, tenant, change)
        elif tenant.is_idle and tenant.limits.cap <= limits.floor:
            self._scales.pop(name, None)  # it is followed again as soon as it is busy

    def _is_overridden(self, name: str) -> bool:
        return self._seating.roster.overrides.tier(name) is not None

    def _make(self, name: str, tenant: Tenant, change: CapChange) -> None:
        self._seating.set_cap(name, change.new)
        scaled = Scaled.of(tenant, change)
        self.changes.appendleft(scaled)
        report(
            logging.INFO,
            "cap scaled",
            tenant=name,
            tier=scaled.tier,
            old=change.old,
            new=change.new,
            utilisation=change.utilisation,
        )
