"""tenantpool: every tenant its pool of PostgreSQL connections, no database one too many."""

from tenantpool.config import Settings
from tenantpool.errors import (
    AcquireTimeout,
    BreakerOpen,
    ConfigError,
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
    UnknownTenant,
)
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.manager._sync.manager import Manager

__version__ = "0.1.0"

__all__ = [
    "AcquireTimeout",
    "AsyncManager",
    "BreakerOpen",
    "ConfigError",
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
    "TenantpoolError",
    "UnknownTenant",
]
