"""What administrators see: tenants, databases, leases, alerts and scaling as messages."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic

from google.protobuf.timestamp_pb2 import Timestamp

from tenantpool.config import TenantSpec
from tenantpool.errors import BadRequest
from tenantpool.manager.scaled import Scaled
from tenantpool.manager.stats import DatabaseStats, TenantStats
from tenantpool.observe.alerts.board import Alert
from tenantpool.v1 import admin_service_pb2 as pb
from tenantpool.v1.admin_service_pb2 import DatabaseState, LeaseState, Tenant
from tenantpool.v1.lease_pb2 import (
    DELIVERY_DIRECT,
    DELIVERY_GATEWAY,
    DELIVERY_HAND_OFF,
    Delivery,
)

from .loan import Loan, seconds

_PAGE = 100
_LONGEST_PAGE = 1000

_DELIVERIES = {
    DELIVERY_GATEWAY: "gateway",
    DELIVERY_HAND_OFF: "hand-off",
    DELIVERY_DIRECT: "direct",
}


def delivery_name(delivery: Delivery) -> str:
    """The way to a lease's connection in a word; empty: nobody has taken it yet."""
    return _DELIVERIES.get(delivery, "")


def timestamp(at: float) -> Timestamp:
    """*at*, in seconds since the epoch, as the wire says it."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(at * 1e6))
    return stamp


def page(names: Iterable[str], prefix: str, size: int, token: str) -> tuple[list[str], str]:
    """The *names* of one page, and the token of the next; empty: this is the last."""
    if size > _LONGEST_PAGE:
        raise BadRequest(f"page_size is more than {_LONGEST_PAGE}")
    size = size or _PAGE
    rest = sorted(name for name in names if name > token and name.startswith(prefix))
    return rest[:size], rest[size - 1] if len(rest) > size else ""


def tenant_view(spec: TenantSpec, stats: TenantStats | None) -> Tenant:
    """A tenant as a message; it may not have been asked for yet, so that there are no *stats*."""
    tenant = Tenant(
        name=spec.name,
        tier=spec.limits.tier,
        database=spec.pool.database,
        cap=spec.limits.cap,
        weight=spec.limits.weight,
        guarantee=spec.limits.guarantee,
        breaker="closed",
        suspended=spec.suspended,
    )
    if stats is not None:
        tenant.cap = stats.cap  # scaling may have made it another than its tier's
        tenant.pool = stats.pool
        tenant.in_use = stats.in_use
        tenant.waiting = stats.waiting
        tenant.leases = stats.leases
        tenant.refused.update(stats.refused)
        tenant.breaker = stats.breaker
        tenant.draining = stats.draining
        tenant.pool_size = stats.pool_size
        tenant.pool_idle = stats.pool_idle
        tenant.wait_mean.CopyFrom(seconds(stats.wait_mean))
        tenant.wait_p99.CopyFrom(seconds(stats.wait_p99))
    return tenant


def database_view(stats: DatabaseStats) -> DatabaseState:
    """A database as a message."""
    slots = {
        "opening": stats.opening,
        "idle": stats.idle,
        "in use": stats.in_use,
        "resetting": stats.resetting,
        "closing": stats.closing,
    }
    return DatabaseState(
        name=stats.name,
        capacity=stats.capacity,
        used=stats.used,
        slots=slots,
        waiting=stats.waiting,
        breaker=stats.breaker,
    )


def lease_view(loan: Loan) -> LeaseState:
    """A lease as a message."""
    tenure = loan.tenure
    assert tenure is not None
    ends_at = tenure.ends_at
    if tenure.attendance is not None:
        ends_at = min(ends_at, tenure.attendance.ends_at)
    return LeaseState(
        lease_id=loan.lease_id,
        tenant=loan.tenant.name,
        identity=loan.identity.name,
        holder=loan.holder,
        delivery=delivery_name(loan.delivery),
        held=seconds(loan.held),
        expires_in=seconds(max(0.0, ends_at - monotonic())),
        backend_pid=loan.connected.conn.info.backend_pid if loan.link is not None else 0,
    )


def alert_view(alert: Alert) -> pb.Alert:
    """An alert that is pending or fires, as a message."""
    return pb.Alert(
        name=alert.name,
        labels=alert.labels,
        severity=alert.severity,
        state=alert.state,
        value=alert.value,
        summary=alert.summary,
        description=alert.description,
        found_at=timestamp(alert.since),
        fired_at=timestamp(alert.fired_at) if alert.fired_at is not None else None,
    )


def cap_change_view(change: Scaled) -> pb.CapChange:
    """A cap that was changed, as a message."""
    return pb.CapChange(
        tenant=change.tenant,
        tier=change.tier,
        cap_before=change.old,
        cap_after=change.new,
        utilisation=change.utilisation,
        made_at=timestamp(change.at),
    )
