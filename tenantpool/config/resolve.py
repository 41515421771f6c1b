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
    from tenantpool.config.settings import Settings


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
        tenant = self._complete(name)
        tier = self._tiers[tenant.tier or self._settings.default_tier]
        pool = PoolSpec(
            database=database_of(self._settings, tenant),
            dbname=tenant.dbname or "",
            user=tenant.user,
            startup=() if tenant.told_apart else tier.timeouts,
        )
        session = _session(tenant, tier.timeouts) if tenant.told_apart else ()
        return TenantSpec(name, pool, session, tier.limits)

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

    def _complete(self, name: str) -> Tenant:
        """What is written of the tenant, by itself or by the template."""
        template = self._settings.template
        listed = self._settings.tenants.get(name)
        if listed is not None:
            return template.complete(name, listed)
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
        for tenant in self._settings.tenants.values():
            if tenant.user is not None and tenant.password is not None:
                key = (database_of(self._settings, tenant), tenant.user)
                found[key] = tenant.password.get_secret_value()
        return found


def database_of(settings: Settings, tenant: Tenant) -> str:
    """The server a tenant lives on: its own, the template's, or the only one."""
    return tenant.database or settings.template.database or next(iter(settings.databases))


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
