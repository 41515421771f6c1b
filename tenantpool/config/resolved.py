"""What the configuration says of one tenant, resolved to values that the manager acts on."""

from __future__ import annotations

from typing import NamedTuple

from tenantpool.core.limits import TenantLimits

Setting = tuple[str, str]


class PoolSpec(NamedTuple):
    """What all connections of one pool have in common; equal specs share a pool."""

    database: str
    """Name of the server under ``databases``."""
    dbname: str
    user: str | None = None
    """Login role; None: that of the database's conninfo."""
    startup: tuple[Setting, ...] = ()
    """Settings that every session of the pool starts with."""


class TenantSpec(NamedTuple):
    """A tenant: its pool, what tells it apart inside that pool, and its limits."""

    name: str
    pool: PoolSpec
    session: tuple[Setting, ...]
    """Settings applied when the tenant gets a connection (search_path, row-level security, role).

    A tenant with a database of its own needs none. ``role`` stands last, because the ones
    before it are set with the rights of the login role.
    """
    limits: TenantLimits
    suspended: str = ""
    """Why it gets no connections at present; empty: it does."""
