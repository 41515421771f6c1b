"""What scaling has changed, and what it measures."""

from __future__ import annotations

from time import time
from typing import NamedTuple, Self

from tenantpool.core.autoscale import CapChange
from tenantpool.core.database import Database
from tenantpool.core.tenant import Tenant

_LATELY = 5.0
"""Seconds."""


class Scaled(NamedTuple):
    """A cap that was changed."""

    at: float
    """Seconds since the epoch."""
    tenant: str
    tier: str
    old: int
    new: int
    utilisation: float
    """The mean part of the old cap that was in use."""

    @classmethod
    def of(cls, tenant: Tenant, change: CapChange) -> Self:
        """The *change*, made now."""
        return cls(time(), tenant.name, tenant.limits.tier, *change)

    def __str__(self) -> str:
        return (
            f"{self.tenant}: cap {self.old} → {self.new},"
            f" as {self.utilisation:.0%} of it was in use"
        )


def slot_seconds(now: float, tenant: Tenant) -> float:
    """Slot-seconds that the tenant has had so far, those of leases in use included.

    To be called with the shell's lock. *now* is of the clock that the core is told. Takes longer
    the more slots the tenant's pool has.
    """
    held = tenant.counters.held
    if tenant.in_use:
        requests = [slot.request for slot in tenant.pool.slots if slot.request is not None]
        held += sum(now - request.granted_at for request in requests if request.tenant is tenant)
    return held


def active_tenants(now: float, core: Database) -> set[Tenant]:
    """Those that hold or wait for a connection, or did so in the last seconds.

    To be called with the shell's lock. Found from pools that have connections, however many
    tenants there are.
    """
    found = core.busy()
    for pool in {slot.pool: None for slot in core.slots}:
        found.update(tenant for tenant in pool.tenants if now - tenant.last_used < _LATELY)
    return found
