"""What the operator wrote: read, checked, and resolved to the values that the manager acts on."""

from tenantpool.config.models import Breaker, Database, DatabaseBreaker, Tier
from tenantpool.config.resolved import PoolSpec, TenantSpec
from tenantpool.config.service import IdentityRule, Service, Tls
from tenantpool.config.settings import Settings
from tenantpool.config.show import effective_yaml
from tenantpool.config.tenants import Template, Tenant

__all__ = [
    "Breaker",
    "Database",
    "DatabaseBreaker",
    "IdentityRule",
    "PoolSpec",
    "Service",
    "Settings",
    "Template",
    "Tenant",
    "TenantSpec",
    "Tier",
    "Tls",
    "effective_yaml",
]
