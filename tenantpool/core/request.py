"""A request for a connection, from asking to its end. It ends exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tenantpool.errors import Refused

    from .slot import Slot
    from .tenant import Tenant

NEW: Final = "new"
WAITING: Final = "waiting"
GRANTED: Final = "granted"
REFUSED: Final = "refused"
CANCELLED: Final = "cancelled"
RETURNED: Final = "returned"
REVOKED: Final = "revoked"


class Request:
    """What a tenant asks for, and once it is granted, its lease.

        new ──▶ waiting ──▶ granted ──▶ returned | revoked
          └──────┴─▶ refused | cancelled

    *priority* orders the requests of one tenant: the higher goes first. ``slot`` is set while it
    is granted, ``error`` once it is refused. The shell subclasses it to keep what it needs.
    """

    __slots__ = (
        "error",
        "granted_at",
        "leak_reported",
        "priority",
        "since",
        "slot",
        "state",
        "tenant",
        "wipe",
    )

    def __init__(self, tenant: Tenant, priority: int = 0) -> None:
        self.tenant = tenant
        self.priority = priority
        self.state: str = NEW
        self.slot: Slot | None = None
        self.error: Refused | None = None
        self.since = 0.0
        self.granted_at = 0.0
        self.leak_reported = False
        self.wipe = False
        """Whether its session must be wiped before anybody gets the connection next."""

    @property
    def holder(self) -> str:
        """Who asked, in words; the shell's to fill in."""
        return ""

    def answer(self) -> None:
        """It was granted, refused or revoked; the shell's to fill in. Must not block."""

    def recall(self, deadline: float, why: str) -> None:
        """It is wanted back by then (seconds, as ``now``); the shell's to fill in, as above."""

    def unpark(self) -> None:
        """It is not to be used again by one who parked it; the shell's to fill in, as above."""

    def elsewhere(self) -> None:
        """It is to be asked for where its tenant is now; the shell's to fill in, as above."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.tenant.name} {self.state}>"
