"""A loan: a lease of the manager, held by another process."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from tenantpool.core.request import REVOKED
from tenantpool.core.tenant import Tenant
from tenantpool.core.tenure import Tenure
from tenantpool.manager._async.lease import AsyncLease
from tenantpool.manager._async.shell import AsyncShell
from tenantpool.pools._async.link import AsyncLink
from tenantpool.v1.lease_pb2 import (
    DELIVERY_UNSPECIFIED,
    Delivery,
    DirectWay,
    GatewayWay,
    HandOffWay,
    Lease,
)
from tenantpool.v1.session_pb2 import DrainNotice, LeaseEnded, SessionResponse

if TYPE_CHECKING:
    from tenantpool.gateway.exchange import Plug

    from .desk import Desk
    from .identity import Identity
    from .worker import Worker


class Loan(AsyncLease):
    """A lease that travels: to whom, how its connection is reached, and how long it lives."""

    __slots__ = (
        "cancel_key",
        "cancels",
        "delivery",
        "desk",
        "epoch",
        "husk",
        "identity",
        "is_healthy",
        "lease_id",
        "parameters",
        "plug",
        "purpose",
        "tenure",
        "ticket_is_valid",
        "token",
        "ttl",
        "way",
        "why",
        "worker",
    )

    def __init__(
        self,
        desk: Desk,
        shell: AsyncShell,
        tenant: Tenant,
        *,
        timeout: float | None,
        ttl: float | None,
        priority: int,
        identity: Identity,
        worker: Worker | None,
        purpose: str,
        epoch: int,
    ) -> None:
        super().__init__(shell, tenant, timeout, priority)
        self.desk = desk
        self.identity = identity
        self.worker = worker
        self.purpose = purpose
        self.epoch = epoch
        """Under which rules it may be lent: see Admission."""
        self.ttl = ttl
        """Seconds that it was asked for; None: the service's default."""
        self.lease_id = ""
        self.token = 0
        self.tenure: Tenure | None = None
        self.delivery: Delivery = DELIVERY_UNSPECIFIED
        self.way: GatewayWay | HandOffWay | DirectWay | None = None
        self.ticket_is_valid = False
        self.plug: Plug | None = None
        self.husk = 0
        self.why = "it was revoked"
        """What its holder is told if the core ends it."""
        self.is_healthy = True
        """How it came back, while ``cancels`` are still under way."""
        self.cancels = 0
        """Cancels under way: the connection is not lent on before they have arrived."""
        self.cancel_key: tuple[int, int] = (0, 0)
        self.parameters: Mapping[str, str] = {}

    def _note_caller(self) -> None:
        """Its holder is another process."""

    @property
    def holder(self) -> str:
        """The worker, or the identity that took it, and what for."""
        who = self.worker.name if self.worker is not None else self.identity.name
        return f"{who}: {self.purpose}" if self.purpose else who

    def answer(self) -> None:
        """Granted, refused or revoked."""
        if self.state == REVOKED:
            self.desk.ledger.lost(self)
        else:
            super().answer()

    def recall(self, deadline: float, why: str) -> None:
        """The core wants it back: a limit was lowered, or its tenant is suspended."""
        super().recall(deadline, why)
        self.why = why
        self.desk.ledger.wanted(self)

    def unpark(self) -> None:
        """Its worker is not to go on with it: the tenant is drained, or has moved."""
        self.desk.unpark(self)

    @property
    def wanted_within(self) -> float:
        """Seconds until the core wants it back; 0 also if it does not."""
        return max(0.0, (self.wanted_by or 0.0) - monotonic())

    def tell_wanted(self, drain_within: float, reason: str) -> None:
        """Ask the holder to give it back within so many seconds. Does not block."""
        if self.worker is not None:
            notice = DrainNotice(
                lease_id=self.lease_id, drain_within=seconds(drain_within), reason=reason
            )
            self.worker.notify(SessionResponse(drain=notice))

    def tell_ended(self, reason: str) -> None:
        """Let the holder know, whichever way it can hear. Does not block."""
        if self.plug is not None:
            plug, self.plug = self.plug, None
            plug.cut(f"the lease has ended: {reason}")
        if self.worker is not None:
            notice = LeaseEnded(lease_id=self.lease_id, reason=reason)
            self.worker.notify(SessionResponse(ended=notice))

    @property
    def connected(self) -> AsyncLink:
        """Its connection; only while it is granted."""
        assert self.link is not None
        return self.link

    @property
    def backend(self) -> socket.socket:
        """The backend's socket, non-blocking: to be duplicated by whoever keeps it."""
        return self.connected.socket

    def grant(self, lease: Lease, ttl: float | None, confirm_within: float | None) -> None:
        """Write it into *lease*, as the wire says it; None: as its session, and counts as used."""
        lease.lease_id = self.lease_id
        lease.fencing_token = self.token
        if ttl is not None:
            lease.ttl.CopyFrom(seconds(ttl))
        if confirm_within is not None:
            lease.confirm_within.CopyFrom(seconds(confirm_within))
        match self.way:
            case HandOffWay(husk=husk, dbname=""):
                lease.hand_off.husk = husk
            case HandOffWay():
                lease.hand_off.CopyFrom(self.way)
            case GatewayWay():
                lease.gateway.CopyFrom(self.way)
            case DirectWay():
                lease.direct.CopyFrom(self.way)


def seconds(value: float) -> Duration:
    """*value* seconds as the wire says it."""
    nanos = round(value * 1e9)
    return Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)
