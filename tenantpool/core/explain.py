"""Why a request did not get a connection: the refusals, with all that is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tenantpool.errors import (
    BreakerOpen,
    ConnectFailed,
    ConnectTimeout,
    DatabaseLimit,
    Draining,
    QueueFull,
    RateLimited,
    Refused,
    TenantLimit,
    TenantSuspended,
)

if TYPE_CHECKING:
    from .books import Books
    from .breaker import Breaker
    from .pool import Pool
    from .tenant import Tenant

_MOST_HOLDERS = 8
_SHORTEST_RETRY = 0.01


def stopped(db: Books, tenant: Tenant) -> Refused:
    """The tenant is suspended, or it or everything is being drained."""
    if tenant.suspended and not db.closing:
        what = f"the tenant is suspended: {tenant.suspended}"
        return TenantSuspended(tenant.name, what, database=db.name)
    what = "the manager is closing" if db.closing else "the tenant is being drained"
    return Draining(tenant.name, what, database=db.name)


def rate_limited(db: Books, tenant: Tenant, retry_after: float) -> Refused:
    """No token was left."""
    limits = tenant.limits
    return RateLimited(
        tenant.name,
        f"tier {limits.tier} allows {limits.rate:g} leases per second (burst {limits.burst})",
        database=db.name,
        retry_after=retry_after,
    )


def queue_full(db: Books, tenant: Tenant) -> Refused:
    """``max_waiting`` requests wait already."""
    limits = tenant.limits
    return QueueFull(
        tenant.name,
        f"tier {limits.tier} lets {limits.max_waiting} wait (max_waiting)",
        database=db.name,
        retry_after=_retry_after(tenant),
        holders=holders(db),
        cause=_connect_error(db, tenant.pool),
    )


def blocked(db: Books, tenant: Tenant, now: float) -> Refused:
    """A breaker does not let anybody connect."""
    breaker, of = _open_breaker(db, tenant.pool, now)
    return BreakerOpen(
        tenant.name,
        f"connects to {of} failed too often, the breaker is {breaker.state}",
        database=db.name,
        retry_after=max(_SHORTEST_RETRY, breaker.retry_at - now),
        cause=breaker.error,
    )


def connect_failed(db: Books, tenant: Tenant, error: BaseException) -> Refused:
    """The database said no, and will say so again."""
    return ConnectFailed(
        tenant.name,
        f"database {db.name} refused the connection for {tenant.pool.name}",
        database=db.name,
        retry_after=tenant.limits.breaker.backoff,
        cause=error,
    )


def timed_out(db: Books, tenant: Tenant) -> Refused:
    """Waited as long as it was told to: for which limit?"""
    limits = tenant.limits
    cause = _connect_error(db, tenant.pool)
    retry_after = _retry_after(tenant)
    if tenant.in_use >= tenant.cap:
        overflow = f" (+ {limits.overflow} overflow)" if limits.overflow else ""
        abroad = f", {tenant.abroad} are still out where it was before" if tenant.abroad else ""
        return TenantLimit(
            tenant.name,
            f"tier {limits.tier} allows {limits.cap}{overflow} connections{abroad}",
            database=db.name,
            retry_after=retry_after,
            holders={tenant.name: tenant.in_use + max(0, tenant.abroad)},
            cause=cause,
        )
    if not tenant.needs or cause is not None or db.used < db.limits.capacity:
        return ConnectTimeout(
            tenant.name,
            f"no connection to {tenant.pool.name} could be opened in time"
            f" ({db.connecting} of {db.limits.connect_concurrency} connects under way)",
            database=db.name,
            retry_after=retry_after,
            cause=cause,
        )
    return DatabaseLimit(
        tenant.name,
        f"database {db.name} has a capacity of {db.limits.capacity} connections",
        database=db.name,
        retry_after=retry_after,
        holders=holders(db),
    )


def holders(db: Books) -> Mapping[str, int]:
    """Connections in use per tenant, the largest first."""
    requests = (slot.request for slot in db.slots)
    counts = Counter(request.tenant.name for request in requests if request is not None)
    return dict(counts.most_common(_MOST_HOLDERS))


def _retry_after(tenant: Tenant) -> float:
    """Seconds until the queue has drained, by Little's law: waiters x time held / servers."""
    servers = max(1, tenant.in_use)
    return max(_SHORTEST_RETRY, (len(tenant.queue) + 1) * tenant.mean_hold / servers)


def _open_breaker(db: Books, pool: Pool, now: float) -> tuple[Breaker, str]:
    if db.breaker.allows(now):
        return pool.breaker, pool.name
    return db.breaker, f"database {db.name}"


def _connect_error(db: Books, pool: Pool) -> BaseException | None:
    return pool.breaker.error or db.breaker.error
