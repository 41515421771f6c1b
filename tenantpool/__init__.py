"""tenantpool: every tenant its pool of PostgreSQL connections, no database one too many."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tenantpool.errors import (
    AcquireTimeout,
    BreakerOpen,
    ConfigError,
    ConfigErrors,
    ConnectFailed,
    ConnectTimeout,
    DatabaseLimit,
    Draining,
    LeaseEnded,
    ManagerClosed,
    QueueFull,
    RateLimited,
    Reason,
    Refused,
    TenantLimit,
    TenantpoolError,
    TenantSuspended,
    UnknownTenant,
)

if TYPE_CHECKING:
    from tenantpool.config import Settings
    from tenantpool.manager._async.manager import AsyncManager
    from tenantpool.manager._sync.manager import Manager

__version__ = "0.1.0"

__all__ = [
    "AcquireTimeout",
    "AsyncManager",
    "BreakerOpen",
    "ConfigError",
    "ConfigErrors",
    "ConnectFailed",
    "ConnectTimeout",
    "DatabaseLimit",
    "Draining",
    "LeaseEnded",
    "Manager",
    "ManagerClosed",
    "QueueFull",
    "RateLimited",
    "Reason",
    "Refused",
    "Settings",
    "TenantLimit",
    "TenantSuspended",
    "TenantpoolError",
    "UnknownTenant",
]

# psycopg and pydantic take half a second to import, too long for a command line's completion.
_LATER = {
    "AsyncManager": "tenantpool.manager._async.manager",
    "Manager": "tenantpool.manager._sync.manager",
    "Settings": "tenantpool.config",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
