"""What scaling has changed, and what it measures."""

from __future__ import annotations

from time import time
from typing import NamedTuple, Self

from tenantpool.core.autoscale import CapChange
from tenantpool.core.tenant import Tenant


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
