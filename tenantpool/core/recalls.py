"""Parked leases: when to ask for them back, and from whom.

A worker may keep a lease for a moment after its use, so that it gets it again without a call.
Nobody but the worker knows. So when somebody has to wait, everybody who may have parked something
that would help is asked for it, and asked not to park for a while.

A lease can also be one that should not go on at all, as its tenant is drained or has moved: a
worker that uses it, parks it and uses it again would keep it for ever.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from .request import GRANTED, Request
from .tenant import Tenant

Database = str


def is_outdated(lease: Request) -> bool:
    """Whether *lease* is in use, but would not be granted as it is any more."""
    tenant, slot = lease.tenant, lease.slot
    if lease.state != GRANTED or slot is None:
        return False
    return tenant.stopped or tenant.departed or tenant.over > 0 or slot.pool is not tenant.pool


class Recall(NamedTuple):
    """Ask *who* for what it has parked on *database*: of *tenant*, or of all if it is None."""

    who: object
    database: Database
    tenant: Tenant | None


class Recalls:
    """Who may have parked leases. *quiet*: for how long nobody parks after being asked, seconds.

    Nobody is asked twice in half that time, so that contention does not drown in messages.
    """

    def __init__(self, quiet: float) -> None:
        self.quiet = quiet
        self._holders: dict[Database, dict[Tenant, dict[object, None]]] = {}
        self._lent_to: dict[object, set[tuple[Database, Tenant]]] = {}
        self._asked_at: dict[Database | Tenant, float] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {len(self._lent_to)} may have parked something>"

    def lent(self, database: Database, tenant: Tenant, who: object) -> None:
        """*who* got a lease, which it may park."""
        self._holders.setdefault(database, {}).setdefault(tenant, {})[who] = None
        self._lent_to.setdefault(who, set()).add((database, tenant))

    def left(self, who: object) -> None:
        """*who* has no lease any more."""
        for database, tenant in self._lent_to.pop(who, ()):
            tenants = self._holders[database]
            del tenants[tenant][who]
            if not tenants[tenant]:
                del tenants[tenant]
                self._asked_at.pop(tenant, None)

    def waits(self, now: float, database: Database, tenant: Tenant) -> list[Recall]:
        """A request of *tenant* waits: at its cap only its own leases help, else any would.

        Nobody is asked while there is a connection on its way to everyone who waits.
        """
        if tenant.in_use < tenant.cap and not tenant.needs:
            return []
        if tenant.in_use >= tenant.cap:
            return self._ask(now, tenant, database, tenant)
        return self._ask(now, database, database, None)

    def _ask(
        self, now: float, key: Database | Tenant, database: Database, tenant: Tenant | None
    ) -> list[Recall]:
        if now < self._asked_at.get(key, -inf) + self.quiet / 2:
            return []
        tenants = self._holders.get(database, {})
        if tenant is not None:
            asked = dict(tenants.get(tenant, {}))
        else:
            asked = {who: None for holders in tenants.values() for who in holders}
        if asked:
            self._asked_at[key] = now
        return [Recall(who, database, tenant) for who in asked]
