"""A slot: the right to one open connection on a database, from before connect until it is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .pool import Pool
    from .request import Request
    from .tenant import Tenant

OPENING: Final = "opening"
IDLE: Final = "idle"
IN_USE: Final = "in use"
RESETTING: Final = "resetting"
CLOSING: Final = "closing"
GONE: Final = "gone"

TRANSITIONS: Final = {
    OPENING: frozenset({IDLE, IN_USE, CLOSING}),
    IDLE: frozenset({IN_USE, CLOSING}),
    IN_USE: frozenset({IDLE, IN_USE, RESETTING, CLOSING}),
    RESETTING: frozenset({IDLE, IN_USE, CLOSING}),
    CLOSING: frozenset({GONE}),
    GONE: frozenset[str](),
}
"""What each state can turn into. In use → in use is a lease that goes straight to a waiter."""


class Slot:
    """One connection of a pool. Every slot that is not gone counts against the capacity.

    *heir* is the tenant a slot is on its way to: the one it is opened for, or the one it is
    closed for. Such slots are ``pending`` with the heir, so that one waiter asks for one slot.
    One that is being opened has none any more if its heir has moved to another pool.
    """

    __slots__ = (
        "connection",
        "expires_at",
        "free_since",
        "heir",
        "opened_at",
        "pool",
        "quantum_ends",
        "request",
        "spread",
        "state",
        "tenant",
    )

    def __init__(self, pool: Pool, heir: Tenant | None) -> None:
        self.pool = pool
        self.state: str = OPENING
        self.heir: Tenant | None = heir
        self.connection: object = None
        """What ``pools`` keeps with the slot; nothing in the core looks into it."""
        self.tenant: Tenant | None = None
        """The last tenant it was lent to: whose session the connection carries."""
        self.request: Request | None = None
        self.opened_at = 0.0
        self.free_since = 0.0
        self.expires_at = 0.0
        self.spread = 1.0
        """How much of its pool's ``max_lifetime`` this one may live."""
        self.quantum_ends = 0.0

    def __repr__(self) -> str:
        return f"<Slot {self.pool.name} {self.state}>"

    def age(self, max_lifetime: float) -> None:
        """Reckon anew when it is too old, from when it was opened."""
        self.expires_at = self.opened_at + self.spread * max_lifetime

    def become(self, state: str) -> None:
        """Enter *state*; RuntimeError if the table above does not know that step."""
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"bug: {self!r} can't become {state}")
        self.state = state
