"""Tenants as the operator writes them: those that are listed, and the template for the others.

Both are dataclasses with slots, not models: a tenant costs a few hundred bytes, so tens of
thousands can be listed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from tenantpool.config.fields import (
    Identifier,
    Key,
    Password,
    Reference,
    Role,
    Schema,
    SettingName,
    SettingValue,
)

_CONFIG = ConfigDict(extra="forbid", hide_input_in_errors=True)

PLACEHOLDER = "{tenant}"

_RESERVED = {"postgres", "template0", "template1", "public", "information_schema", "none"}
"""Names that mean something to PostgreSQL, as all that start with pg_ do."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    return value


def _placeholders(value: str) -> str:
    unknown = set(re.findall(r"\{[^}]*\}?", value)) - {PLACEHOLDER}
    if unknown:
        raise ValueError(f"only {PLACEHOLDER} is filled in, not {min(unknown)}")
    return value


Expanded = Annotated[Key, AfterValidator(_placeholders)]
"""A name in which ``{tenant}`` stands for the tenant's."""


@dataclass(slots=True, frozen=True, config=_CONFIG)
class Tenant:
    """A listed tenant: its tier, and where it lives if that differs from the template.

    A tenant that says nothing of dbname, user, role, schema and settings lives where the template
    puts it, so a tenant can be listed only for its tier. One that names any of them is taken as it
    is written, and only its dbname is filled in from the template.
    """

    tier: Reference | None = Field(
        default=None, description="Its class of limits; null: the default tier."
    )
    database: Reference | None = Field(
        default=None, description="Its server, a key of databases; null: the template's."
    )
    dbname: Identifier | None = Field(
        default=None, description="Its database on that server; null: the template's."
    )
    user: Identifier | None = Field(
        default=None, description="A login role of its own; null: the one of the conninfo."
    )
    password: Password | None = Field(
        default=None, description="Password of user; null: libpq looks into its password file."
    )
    role: Role | None = Field(
        default=None, description="Role that its sessions take on (SET ROLE); null: none."
    )
    schema: Schema | None = Field(
        default=None, description="Schema that its search path starts with; null: none."
    )
    settings: dict[SettingName, SettingValue] = Field(
        default_factory=dict,
        description="Settings of its sessions, such as app.tenant for row-level security.",
        examples=[{"app.tenant": "acme"}],
    )
    suspended: bool = Field(
        default=False,
        description="Whether its requests are refused and its leases drained until this ends.",
    )

    @property
    def placed(self) -> bool:
        """Whether it says itself where it lives inside a server."""
        return bool(self.dbname or self.user or self.role or self.schema or self.settings)

    @property
    def told_apart(self) -> bool:
        """Whether its sessions must be prepared at each checkout, as its pool may be shared."""
        return bool(self.role or self.schema or self.settings)


@dataclass(slots=True, frozen=True, config=_CONFIG)
class Template:
    """Where tenants live that do not say so; ``{tenant}`` stands for the tenant's name."""

    enabled: bool = Field(
        default=True, description="Whether tenants that are not listed are taken at all."
    )
    pattern: Annotated[str, AfterValidator(_pattern)] = Field(
        default=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}",
        description="Regular expression that the whole name of an unlisted tenant must match.",
    )
    tier: Reference | None = Field(
        default=None, description="Tier of unlisted tenants; null: the default tier."
    )
    database: Reference | None = Field(
        default=None, description="Server, a key of databases; may be null if there is one only."
    )
    dbname: Expanded = Field(default="tenant_{tenant}", description="Database on that server.")
    user: Expanded | None = Field(
        default=None, description="Login role; null: the one of the conninfo."
    )
    role: Expanded | None = Field(
        default=None, description="Role that sessions take on (SET ROLE); null: none."
    )
    schema: Expanded | None = Field(
        default=None, description="Schema that the search path starts with; null: none."
    )
    settings: dict[SettingName, SettingValue] = Field(
        default_factory=dict,
        description="Settings of the sessions; {tenant} works in values.",
        examples=[{"app.tenant": "{tenant}"}],
    )

    def tenant(self, name: str) -> Tenant:
        """The tenant of that *name* as this template makes it.

        Raises ValueError if PostgreSQL could not keep a name that comes out, or reserves it.
        """
        return self._made(name, self.tier, self.database)

    def _made(
        self, name: str, tier: str | None, database: str | None, *, suspended: bool = False
    ) -> Tenant:
        return Tenant(
            tier=tier,
            database=database,
            suspended=suspended,
            dbname=_identifier(self.dbname, name),
            user=self.user and _identifier(self.user, name),
            role=self.role and _identifier(self.role, name),
            schema=self.schema and _identifier(self.schema, name),
            settings={key: _fill(value, name) for key, value in self.settings.items()},
        )

    def complete(self, name: str, tenant: Tenant) -> Tenant:
        """The listed *tenant* of that *name* with everything that it leaves to the template.

        Raises ValueError as above.
        """
        database = tenant.database or self.database
        if not tenant.placed:
            return self._made(name, tenant.tier, database, suspended=tenant.suspended)
        dbname = tenant.dbname or _identifier(self.dbname, name)
        if (tenant.database, tenant.dbname) == (database, dbname):
            return tenant  # a new one would be checked again, 100,000 times
        return replace(tenant, database=database, dbname=dbname)

    def tells_apart(self) -> bool:
        """Whether two tenants differ in anything but their name."""
        values = (self.dbname, self.user, self.role, self.schema, *self.settings.values())
        return any(PLACEHOLDER in value for value in values if value)


def _fill(value: str, name: str) -> str:
    """Plain replacement: ``str.format`` would let a name reach into objects."""
    return value.replace(PLACEHOLDER, name)


def _identifier(value: str, name: str) -> str:
    """*value* filled in; a tenant must not reach what PostgreSQL reserves by its name."""
    filled = _fill(value, name)
    reserved = filled.startswith("pg_") or filled in _RESERVED
    if reserved and filled != value:
        raise ValueError(f"{filled} is a name that PostgreSQL reserves")
    return filled
