"""From what the operator wrote of a tenant to the values that the manager acts on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from tenantpool.config.conninfo import connection_params
from tenantpool.config.resolved import PoolSpec, Setting, TenantSpec
from tenantpool.config.tenants import Tenant
from tenantpool.core.limits import TenantLimits
from tenantpool.errors import UnknownTenant

if TYPE_CHECKING:
    from tenantpool.config.catalog import Catalog
    from tenantpool.config.models import Database
    from tenantpool.config.settings import Settings

SUSPENDED = "the configuration says so"
"""Why a tenant is suspended that is so in the file."""


class _Tier(NamedTuple):
    """One tier as its tenants share it: the same objects for all of them."""

    limits: TenantLimits
    timeouts: tuple[Setting, ...]


class Resolver:
    """Resolves the tenants and pools of settings that have been checked; see ``Settings``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pattern = re.compile(settings.template.pattern)
        self._tiers = {n: _Tier(t.limits(n), t.timeouts()) for n, t in settings.tiers.items()}
        self._passwords = self._collect_passwords()

    def tenant(self, name: str) -> TenantSpec:
        """See :meth:`Settings.tenant`."""
        tenant = self.complete(name, self._settings.tenants.get(name))
        return self.spec(name, tenant, SUSPENDED if tenant.suspended else "")

    def complete(self, name: str, entry: Tenant | None) -> Tenant:
        """What *entry* says of the tenant, filled in by the template; None: it is not listed.

        Raises UnknownTenant if it can't be served so.
        """
        if entry is None:
            return self._unlisted(name)
        try:
            return self._settings.template.complete(name, entry)
        except ValueError as error:
            raise UnknownTenant(name, f"the template gives it no place: {reason(error)}") from None

    def spec(self, name: str, tenant: Tenant, suspended: str = "") -> TenantSpec:
        """The values that the manager acts on, of a *tenant* that is complete.

        Raises UnknownTenant if its tier or database is not there.
        """
        tier_name = tenant.tier or self._settings.default_tier
        tier = self._tiers.get(tier_name)
        if tier is None:
            raise UnknownTenant(name, f"there is no tier {tier_name}")
        database = database_of(self._settings, tenant)
        if database not in self._settings.databases:
            raise UnknownTenant(name, f"there is no database {database}")
        pool = PoolSpec(
            database=database,
            dbname=tenant.dbname or "",
            user=tenant.user,
            startup=() if tenant.told_apart else tier.timeouts,
        )
        session = _session(tenant, tier.timeouts) if tenant.told_apart else ()
        return TenantSpec(name, pool, session, tier.limits, suspended)

    def connection_params(self, pool: PoolSpec) -> dict[str, str]:
        """See :meth:`Settings.connection_params`."""
        database = self._settings.databases[pool.database]
        password = self._passwords.get((pool.database, pool.user))
        return connection_params(
            database.conninfo.get_secret_value(),
            dbname=pool.dbname,
            user=pool.user,
            password=password,
            connect_timeout=database.connect_timeout,
            startup=pool.startup,
        )

    def logins(self, database: str) -> tuple[Database, dict[str | None, str]]:
        """All that the parameters of connections to *database* depend on, besides the pool."""
        passwords = {user: said for (at, user), said in self._passwords.items() if at == database}
        return self._settings.databases[database], passwords

    def _unlisted(self, name: str) -> Tenant:
        """The tenant as the template makes it."""
        template = self._settings.template
        if not template.enabled:
            raise UnknownTenant(name, "only listed tenants are taken (template.enabled is false)")
        if not self._pattern.fullmatch(name):
            raise UnknownTenant(name, "the name does not match template.pattern")
        try:
            return template.tenant(name)
        except ValueError as error:
            raise UnknownTenant(name, f"no tenant can have this name: {reason(error)}") from None

    def _collect_passwords(self) -> dict[tuple[str, str | None], str]:
        """The passwords of the login roles: of each server (user None) and of single tenants."""
        servers = self._settings.databases.items()
        found: dict[tuple[str, str | None], str] = {
            (name, None): server.password.get_secret_value()
            for name, server in servers
            if server.password is not None
        }
        entries: list[Tenant | Catalog] = list(self._settings.tenants.values())
        if self._settings.catalog is not None:
            entries.append(self._settings.catalog)
        for entry in entries:
            if entry.user is not None and entry.password is not None:
                key = (database_of(self._settings, entry), entry.user)
                found[key] = entry.password.get_secret_value()
        return found


def database_of(settings: Settings, entry: Tenant | Catalog) -> str:
    """The server a tenant, or the catalog, is on: its own, the template's, or the only one."""
    return entry.database or settings.template.database or next(iter(settings.databases))


def reason(error: ValueError) -> str:
    """The first sentence of a validation error, without the value that it is about."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{first['loc'][0]} {first['msg'].removeprefix('Value error, ')}"


def _session(tenant: Tenant, timeouts: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """What is set at each checkout. The role comes last: the others need the login's rights."""
    settings = dict(timeouts) | tenant.settings
    if tenant.schema is not None:
        settings["search_path"] = f"{_quoted(tenant.schema)}, public"
    role = [("role", tenant.role)] if tenant.role is not None else []
    return (*settings.items(), *role)


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
