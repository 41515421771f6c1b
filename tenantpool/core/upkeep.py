"""What is due from time to time: leases held too long, idle connections, forgotten tenants."""

from __future__ import annotations

from .pool import Pool
from .request import Request
from .slot import Slot
from .tenant import Tenant


def leaks(now: float, pool: Pool) -> list[Request]:
    """Leases that have been held for longer than ``leak_after``."""
    return [r for r in _leases(pool) if _exceeds(now - r.granted_at, r.tenant.limits.leak_after)]


def overdue(now: float, pool: Pool) -> list[Request]:
    """Leases to revoke: held for longer than ``max_lease``, or leaks where that is asked for."""
    return [r for r in _leases(pool) if _is_overdue(now - r.granted_at, r.tenant)]


def stale(now: float, pool: Pool) -> list[Slot]:
    """Idle connections to close: too old, idle for too long, or of a pool that nobody uses."""
    if pool.draining or is_abandoned(now, pool):
        return list(pool.idle)
    limits = next(iter(pool.tenants)).limits
    found: list[Slot] = []
    for slot in pool.idle:
        left = pool.live - len(found)
        longest = limits.overflow_idle if left > pool.cap else limits.max_idle
        is_surplus = left > pool.min_size and now - slot.free_since > longest
        if is_surplus or slot.expires_at <= now:
            found.append(slot)
    return found


def forgotten(now: float, pool: Pool) -> list[Tenant]:
    """Tenants that nobody has asked for since ``pool_idle``; the last one stays with its slots."""
    found = [
        tenant
        for tenant in pool.tenants
        if tenant.is_idle
        and not tenant.stopped
        and now - tenant.last_used > tenant.limits.pool_idle
    ]
    return found[1:] if pool.slots and len(found) == len(pool.tenants) else found


def is_abandoned(now: float, pool: Pool) -> bool:
    """Whether nobody has used it since ``pool_idle``."""
    longest = max((tenant.limits.pool_idle for tenant in pool.tenants), default=0.0)
    return now - pool.last_used > longest and not _leases(pool)


def _leases(pool: Pool) -> list[Request]:
    return [slot.request for slot in pool.slots if slot.request is not None]


def _exceeds(held: float, limit: float | None) -> bool:
    return limit is not None and held > limit


def _is_overdue(held: float, tenant: Tenant) -> bool:
    limits = tenant.limits
    return _exceeds(held, limits.enforced_max_lease) or (
        limits.leak_revoke and _exceeds(held, limits.leak_after)
    )
