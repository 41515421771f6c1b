"""One tree of errors; every refusal knows its reason, the limit it met and when to retry.

TenantpoolError
├── ConfigError            the configuration is wrong: where, what, and the fix
│   └── ConfigErrors       ... in several places, all of them listed
├── ConfigConflict         the configuration in force is not the one that was expected
├── ManagerClosed          the manager is not open (any more), or was inherited through a fork
├── LeaseEnded             the lease was returned, revoked, or ran out before this use
│   ├── StaleToken         ... and its id now names another one
│   └── LeaseTooLong       ... it was held for as long as its tier allows
├── NotAuthenticated       the service does not know who is asking
├── NotAllowed             the service knows, and it is not for them
├── BadRequest             what was asked for makes no sense
│   └── RequestConflict    the request id was used for another request
├── ServiceUnavailable     the service cannot be reached
└── Refused                a request that did not get a connection
    ├── UnknownTenant      not configured, and no template takes it
    ├── IdentityLimit      the caller holds as many leases, or sessions, as it may
    ├── Draining           the tenant, or the whole manager, takes no new leases
    ├── TenantSuspended    the operator has suspended the tenant, and says why
    ├── RateLimited        more leases per second than the tier allows
    ├── QueueFull          ``max_waiting`` requests wait already
    ├── BreakerOpen        connects failed too often; not tried again before ``retry_after``
    ├── ConnectFailed      the database refused the connection; ``__cause__`` says why
    └── AcquireTimeout     waited as long as it was told to (also a ``TimeoutError``)
        ├── TenantLimit    ... because the tenant is at its cap
        ├── DatabaseLimit  ... because the database is at its capacity
        └── ConnectTimeout ... because no connection could be opened in time
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

__all__ = [
    "AcquireTimeout",
    "BadRequest",
    "BreakerOpen",
    "ConfigConflict",
    "ConfigError",
    "ConfigErrors",
    "ConnectFailed",
    "ConnectTimeout",
    "DatabaseLimit",
    "Draining",
    "IdentityLimit",
    "LeaseEnded",
    "LeaseTooLong",
    "ManagerClosed",
    "NotAllowed",
    "NotAuthenticated",
    "QueueFull",
    "RateLimited",
    "Reason",
    "Refused",
    "RequestConflict",
    "ServiceUnavailable",
    "StaleToken",
    "TenantLimit",
    "TenantSuspended",
    "TenantpoolError",
    "UnknownTenant",
]


class Reason(StrEnum):
    """Why a request was refused: one word that programs and dashboards can match."""

    UNKNOWN_TENANT = "UNKNOWN_TENANT"
    DRAINING = "DRAINING"
    TENANT_SUSPENDED = "TENANT_SUSPENDED"
    RATE_LIMIT = "RATE_LIMIT"
    QUEUE_FULL = "QUEUE_FULL"
    BREAKER_OPEN = "BREAKER_OPEN"
    CONNECT_FAILED = "CONNECT_FAILED"
    CONNECT_TIMEOUT = "CONNECT_TIMEOUT"
    TENANT_LIMIT = "TENANT_LIMIT"
    DATABASE_LIMIT = "DATABASE_LIMIT"
    IDENTITY_LIMIT = "IDENTITY_LIMIT"


class TenantpoolError(Exception):
    """Base of every error that tenantpool raises."""


class ManagerClosed(TenantpoolError):
    """The manager is not open yet, is closed, or belongs to the parent of this process."""


class LeaseEnded(TenantpoolError):
    """The lease has ended: it was returned already, it was revoked, or its time was over."""


class StaleToken(LeaseEnded):
    """The fencing token is not that of the lease: the lease that was meant has ended."""


class LeaseTooLong(LeaseEnded):
    """The lease was held for as long as the tenant's tier allows; no renewal helps."""


class NotAuthenticated(TenantpoolError):
    """The service does not know who is asking: no token or certificate that it accepts."""


class NotAllowed(TenantpoolError):
    """The identity may not do this: not with this tenant, or not at all."""


class BadRequest(TenantpoolError):
    """What was asked for makes no sense; asking again will not help."""


class RequestConflict(BadRequest):
    """The request id was used before, for a request that differs."""


class ServiceUnavailable(TenantpoolError):
    """The service cannot be reached, or the connection to it broke.

    It may be there again later; what was under way may or may not have happened.
    """


class ConfigError(TenantpoolError):
    """The configuration is wrong; nothing has been opened.

    *place* says where (``config/tenantpool.yaml:12: tiers.pro.cap``), *problem* what is wrong,
    *fix* what to write instead (may be empty).
    """

    def __init__(self, place: str, problem: str, fix: str = "") -> None:
        super().__init__(f"{place}: {problem}" + (f"; {fix}" if fix else ""))
        self.place = place
        self.problem = problem
        self.fix = fix


class ConfigErrors(ConfigError):
    """Several mistakes in one configuration; it counts as the first.

    *errors* has them all; as text it is one line for each of the first 50.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(first.place, first.problem, first.fix)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        lines = [str(error) for error in self.errors[:50]]
        more = len(self.errors) - len(lines)
        return "\n".join(lines + ([f"... and {more} more"] if more else []))


class ConfigConflict(TenantpoolError):
    """Somebody else has changed the configuration meanwhile; look at it again, then try again."""


class Refused(TenantpoolError):
    """A request that ended without a connection, and everything known about why.

    *tenant* and *database* name who asked for what. *limit* is the limit that was met, in words
    with its number. *waited* and *retry_after* are seconds (``retry_after`` is None where waiting
    does not help). *holders* counts the leases in use per tenant, largest first. The connect
    error that stood behind it, if any, is the ``__cause__``.
    """

    reason: Reason

    def __init__(
        self,
        tenant: str,
        limit: str,
        *,
        database: str = "",
        waited: float = 0.0,
        retry_after: float | None = None,
        holders: Mapping[str, int] | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(tenant, limit)
        self.tenant = tenant
        self.limit = limit
        self.database = database
        self.waited = waited
        self.retry_after = retry_after
        self.holders: Mapping[str, int] = holders or {}
        self.__cause__ = cause

    def __str__(self) -> str:
        parts = [f"{self.tenant}: {self.reason}: {self.limit}"]
        if self.waited:
            parts.append(f"waited {self.waited:.3f} s")
        if self.holders:
            parts.append("held by " + ", ".join(f"{t}: {n}" for t, n in self.holders.items()))
        if self.retry_after is not None:
            parts.append(f"retry after {self.retry_after:.3f} s")
        if self.__cause__ is not None:
            parts.append(f"last connect error: {str(self.__cause__).strip()}")
        return "; ".join(parts)


class UnknownTenant(Refused):
    """No tenant of that name is configured and no template takes it. Retrying does not help."""

    reason = Reason.UNKNOWN_TENANT


class IdentityLimit(Refused):
    """The caller's identity holds as many leases, or sessions, as it is allowed."""

    reason = Reason.IDENTITY_LIMIT


class Draining(Refused):
    """The tenant was drained, or the manager is closing; no new leases until it is resumed."""

    reason = Reason.DRAINING


class TenantSuspended(Refused):
    """The operator has suspended the tenant; ``limit`` says why. Retrying does not help."""

    reason = Reason.TENANT_SUSPENDED


class RateLimited(Refused):
    """The tenant asked for more leases per second than its tier allows."""

    reason = Reason.RATE_LIMIT


class QueueFull(Refused):
    """As many requests of this tenant wait already as its tier's ``max_waiting`` allows."""

    reason = Reason.QUEUE_FULL


class BreakerOpen(Refused):
    """Connects failed too often, so none is tried before ``retry_after``; see ``__cause__``."""

    reason = Reason.BREAKER_OPEN


class ConnectFailed(Refused):
    """The database answered that this connection cannot be had (no such database, bad password)."""

    reason = Reason.CONNECT_FAILED


class AcquireTimeout(Refused, TimeoutError):
    """The request waited as long as it was told to; the subclass names the limit that was met."""

    reason = Reason.DATABASE_LIMIT


class TenantLimit(AcquireTimeout):
    """Waited in vain because the tenant itself holds as many connections as its cap allows."""

    reason = Reason.TENANT_LIMIT


class DatabaseLimit(AcquireTimeout):
    """Waited in vain because the database's capacity is in use; ``holders`` says by whom."""

    reason = Reason.DATABASE_LIMIT


class ConnectTimeout(AcquireTimeout):
    """Waited in vain for a connection to be opened."""

    reason = Reason.CONNECT_TIMEOUT
