"""What the operator wrote: read, checked, and resolved to the values that the manager acts on."""

from tenantpool.config.catalog import Catalog
from tenantpool.config.listing import Listing
from tenantpool.config.models import Breaker, Database, DatabaseBreaker, Enforce, Tier
from tenantpool.config.overrides import Override, Overrides
from tenantpool.config.plan import Change, Plan, Planner
from tenantpool.config.resolved import PoolSpec, TenantSpec
from tenantpool.config.roster import Roster
from tenantpool.config.service import IdentityRule, Service, Tls
from tenantpool.config.settings import Settings
from tenantpool.config.show import effective_yaml
from tenantpool.config.tenants import Template, Tenant

__all__ = [
    "Breaker",
    "Catalog",
    "Change",
    "Database",
    "DatabaseBreaker",
    "Enforce",
    "IdentityRule",
    "Listing",
    "Override",
    "Overrides",
    "Plan",
    "Planner",
    "PoolSpec",
    "Roster",
    "Service",
    "Settings",
    "Template",
    "Tenant",
    "TenantSpec",
    "Tier",
    "Tls",
    "effective_yaml",
]
