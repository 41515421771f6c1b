"""Who plays: the tenants of the demo, what they are entitled to, and how hard they push."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenantpool.config import Settings

CAPACITY = 20
"""Connections for all; the weights of the tenants below add up to it too."""

WEIGHTS = {"enterprise": 4, "pro": 2, "basic": 1}
MAX_WAITING = 40

LONGEST_WAIT = 30.0
"""Seconds: that many waiting get their turn on a slow machine, too."""

LEAK_AFTER = 1.0
"""Seconds after which a lease of a tenant of tier pro is reported as a leak."""

BACKOFF_MAX = 2.0
"""Longest time, in seconds, for which a breaker of tier basic waits until its next probe."""

SHARED = "shared"
"""The database of the tenants that have none of their own."""

READER = "demo_reader"
"""The role that row-level security applies to; it does not to a superuser."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of the demo. *tasks* is how many ask for its connections, in all processes."""

    name: str
    tier: str
    tasks: int
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
        """Its database does not exist at first, so all it can get until then is refusals."""
        return self.home == "missing"

    def config(self) -> dict[str, Any]:
        """What the configuration says of it."""
        place: dict[str, Any] = {"tier": self.tier, "dbname": self.dbname}
        if self.home == "schema":
            place["schema"] = self.name
        if self.home == "rows":
            place |= {"role": READER, "settings": {"app.tenant": self.name}}
        return place


PROCESSES = 4
"""Worker processes that share the tasks, besides that of MORTAL and the careless one."""

CARELESS = "careless worker"
"""A process that repeats statements for REPEATER, and does not give back a lease of LEAKER."""

REPEATER, LEAKER = "umbrella", "initech"

PROMOTED = "hooli"
"""Gets the tier enterprise for a while."""

NOISY = "noisy"
QUIET_TASKS = 2
"""Tasks of NOISY that are left in each process once it has calmed down."""

MORTAL = "wayne"
"""Has a worker process to itself, which is killed in the middle."""

SESSION_TTL = 3.0
"""Seconds for which a worker may be silent: so long it takes until its leases are back."""

TENANTS = (
    Tenant("acme", "enterprise", 14),
    Tenant("globex", "enterprise", 14),
    Tenant("initech", "pro", 8),
    Tenant("hooli", "pro", 8),
    Tenant("umbrella", "pro", 8),
    Tenant("stark", "basic", 4),
    Tenant(MORTAL, "basic", 4),
    Tenant(NOISY, "basic", 60),
    Tenant("north", "basic", 4, "schema"),
    Tenant("south", "basic", 4, "schema"),
    Tenant("rowan", "basic", 4, "rows"),
    Tenant("ghost", "basic", 2, "missing"),
)

GHOST = TENANTS[-1]

TEMPLATE = replace(GHOST, name="ghost_template", home="database")
"""Whose database becomes that of GHOST."""

SERVED = tuple(tenant for tenant in TENANTS if not tenant.is_missing)


def settings(conninfo: str, folder: Path) -> Settings:
    """The service's configuration: all of them, on the server at *conninfo*, lent in *folder*."""
    from tenantpool.config import Settings  # workers do without

    return Settings(
        databases={"main": {"conninfo": conninfo, "capacity": CAPACITY}},
        tiers={
            tier: {
                "weight": weight,
                "min_size": 0,
                "max_waiting": MAX_WAITING,
                "acquire_timeout": LONGEST_WAIT,
                "leak_after": LEAK_AFTER if tier == "pro" else None,
                "breaker": {"backoff_max": BACKOFF_MAX if tier == "basic" else 30.0},
            }
            for tier, weight in WEIGHTS.items()
        },
        tenants={tenant.name: tenant.config() for tenant in TENANTS},
        template={"enabled": False},
        sweep_interval=0.25,
        service={
            "folder": str(folder),
            "state": None,
            "listen": [],
            "http_listen": ["127.0.0.1"],
            "http_port": 0,
            "session_ttl": SESSION_TTL,
            "lease_grace": 0.5,
        },
    )
