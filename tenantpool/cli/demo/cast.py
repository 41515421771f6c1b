"""Who plays: the tenants of the demo, what they are entitled to, and how hard they push."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tenantpool.config import Settings

CAPACITY = 20
"""Connections for all; the weights of the tenants below add up to it too."""

WEIGHTS = {"enterprise": 4, "pro": 2, "basic": 1}
MAX_WAITING = 40

SHARED = "shared"
"""The database of the tenants that have none of their own."""

READER = "demo_reader"
"""The role that row-level security applies to; it does not to a superuser."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of the demo. *workers* is how many tasks ask for its connections."""

    name: str
    tier: str
    workers: int
    home: str = "database"
    """What tells it from others: ``database``, ``schema``, ``rows`` or ``missing``."""

    @property
    def weight(self) -> int:
        return WEIGHTS[self.tier]

    @property
    def dbname(self) -> str:
        """Where its rows are."""
        return self.name if self.home in ("database", "missing") else SHARED

    @property
    def is_missing(self) -> bool:
        """Its database does not exist, so all it can get is refusals."""
        return self.home == "missing"

    def config(self) -> dict[str, Any]:
        """What the configuration says of it."""
        place: dict[str, Any] = {"tier": self.tier, "dbname": self.dbname}
        if self.home == "schema":
            place["schema"] = self.name
        if self.home == "rows":
            place |= {"role": READER, "settings": {"app.tenant": self.name}}
        return place


NOISY = "noisy"

TENANTS = (
    Tenant("acme", "enterprise", 14),
    Tenant("globex", "enterprise", 14),
    Tenant("initech", "pro", 8),
    Tenant("hooli", "pro", 8),
    Tenant("umbrella", "pro", 8),
    Tenant("stark", "basic", 4),
    Tenant("wayne", "basic", 4),
    Tenant(NOISY, "basic", 60),
    Tenant("north", "basic", 4, "schema"),
    Tenant("south", "basic", 4, "schema"),
    Tenant("rowan", "basic", 4, "rows"),
    Tenant("ghost", "basic", 2, "missing"),
)

SERVED = tuple(tenant for tenant in TENANTS if not tenant.is_missing)


def settings(conninfo: str) -> Settings:
    """The manager's configuration for all of them, on the server at *conninfo*."""
    return Settings(
        databases={"main": {"conninfo": conninfo, "capacity": CAPACITY}},
        tiers={
            tier: {"weight": weight, "min_size": 0, "max_waiting": MAX_WAITING}
            for tier, weight in WEIGHTS.items()
        },
        tenants={tenant.name: tenant.config() for tenant in TENANTS},
        template={"enabled": False},
    )
