"""Whom other limits would hit: those who have too much in use now, or asked too much lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tenantpool.config.roster import Roster
from tenantpool.core.tenant import Tenant
from tenantpool.core.usage import Foreseen
from tenantpool.errors import UnknownTenant

from .stats import Shell

_SLICE = 64
"""Tenants to look at before others may run: about half a millisecond."""

_NOTHING = Foreseen(0, 0, 0, 0)


class Impact(NamedTuple):
    """What a roster would mean for a tenant, or for a database as a whole."""

    database: str
    tenant: str
    """Empty: the database as a whole."""
    above: int
    """Connections that would have to go: of a tenant leases in use, of a database idle ones too."""
    foreseen: Foreseen
    """Its requests of the last hour, and how many of them would have met the new limits."""


def impacts(shells: Mapping[str, Shell], roster: Roster, now: float) -> Iterator[Impact | None]:
    """Whom *roster* would hit; None wherever others may run. Databases come first."""
    for shell in shells.values():
        if above := _above_capacity(shell, roster):
            yield Impact(shell.core.name, "", above, _NOTHING)
    for shell in shells.values():
        for number, tenant in enumerate(list(shell.core.tenants.values()), 1):
            with shell.lock:
                impact = _impact(shell.core.name, tenant, roster, now)
            if impact is not None:
                yield impact
            if number % _SLICE == 0:
                yield None


def _above_capacity(shell: Shell, roster: Roster) -> int:
    """Where the capacity is to be found out, nobody knows it before it is."""
    database = roster.settings.databases.get(shell.core.name)
    if database is None:
        return shell.core.used
    if database.capacity == "auto":
        return 0
    return max(0, shell.core.used - database.capacity)


def _impact(database: str, tenant: Tenant, roster: Roster, now: float) -> Impact | None:
    try:
        spec = roster.tenant(tenant.name)
    except UnknownTenant:
        spec = None
    if spec is None or spec.suspended:
        # Whoever is refused already gives nothing more.
        gone = 0 if tenant.suspended else tenant.in_use
        return Impact(database, tenant.name, gone, _NOTHING) if gone else None
    if spec.limits == tenant.limits:
        return None
    above = max(0, tenant.in_use - spec.limits.ceiling)
    foreseen = tenant.usage.foresee(now, spec.limits)
    if above or any(foreseen[1:]):
        return Impact(database, tenant.name, above, foreseen)
    return None
