"""The whole configuration: one immutable value, checked before anything opens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from os import PathLike
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, Field, PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tenantpool.config.alerts import Alerts
from tenantpool.config.catalog import Catalog
from tenantpool.config.checks import check, check_capacity, promises
from tenantpool.config.digest import digest_of
from tenantpool.config.explain import explain, raise_all
from tenantpool.config.fields import Key, Seconds, SecondsOrZero
from tenantpool.config.insight import Insight
from tenantpool.config.layers import Layers, read_layers
from tenantpool.config.models import DEFAULT_TIERS, Database, Tier
from tenantpool.config.resolve import Resolver, database_of
from tenantpool.config.resolved import PoolSpec, TenantSpec
from tenantpool.config.section import no_null, no_nulls
from tenantpool.config.service import Service
from tenantpool.config.tenants import Template, Tenant
from tenantpool.core.limits import DatabaseLimits
from tenantpool.errors import ConfigError
from tenantpool.libpq import join_conninfo


def _over_default_tiers(value: object) -> object:
    """What is written changes the default tiers field by field."""
    written = no_nulls(value)
    if not isinstance(written, dict):
        return written
    merged = {name: dict(tier) for name, tier in DEFAULT_TIERS.items()}
    for name, tier in written.items():
        default = merged.get(name)
        merged[name] = {**default, **tier} if default and isinstance(tier, dict) else tier
    return merged


class Settings(BaseSettings):
    """Databases, tiers, tenants and the template of one manager.

    ``Settings(...)`` holds exactly what it is given; :meth:`load` reads the file, the secrets
    folder and the environment. Both raise :class:`~tenantpool.errors.ConfigError` (several
    mistakes at once: :class:`~tenantpool.errors.ConfigErrors`) and open nothing.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    databases: Annotated[dict[Key, Database], BeforeValidator(no_nulls)] = Field(
        min_length=1, description="The PostgreSQL servers, each with its limit."
    )
    tiers: Annotated[dict[Key, Tier], BeforeValidator(_over_default_tiers)] = Field(
        default_factory=dict,
        validate_default=True,
        description="Classes of tenants; changes basic, pro and enterprise, and may add others.",
    )
    default_tier: Key = Field("basic", description="Tier of a tenant that names none.")
    tenants: Annotated[dict[Key, Tenant], BeforeValidator(no_nulls)] = Field(
        default_factory=dict, description="Tenants that differ from the template."
    )
    template: Template = Field(
        default_factory=Template, description="Where tenants live that do not say so."
    )
    catalog: Catalog | None = Field(
        None, description="Tenants that are read from PostgreSQL; null: none are."
    )
    service: Annotated[Service, BeforeValidator(no_null)] = Field(
        default_factory=Service,
        description="Lends connections to other processes (tenantpool serve).",
    )
    alerts: Annotated[Alerts, BeforeValidator(no_null)] = Field(
        default_factory=Alerts,
        description="What the service (tenantpool serve) looks for, and whom it tells.",
    )
    insight: Annotated[Insight, BeforeValidator(no_null)] = Field(
        default_factory=Insight, description="Looks for slow and repeated statements."
    )
    sweep_interval: Seconds = Field(
        1.0,
        le=300,
        description="How often idle connections and long leases are looked for, in seconds, "
        "up to 300.",
    )
    close_grace: SecondsOrZero = Field(
        10.0, description="How long closing waits for leases to come back, in seconds."
    )

    _digest: str | None = PrivateAttr(None)
    _promises: Mapping[str, int] | None = PrivateAttr(None)

    def __init__(self, **values: object) -> None:
        """Check the *values* of the sections, as mappings. ConfigError if they are wrong."""
        self._build(Layers.of_arguments(values))

    @classmethod
    def load(
        cls,
        path: str | PathLike[str] | None = None,
        *,
        secrets_dir: str | PathLike[str] | None = None,
        environ: Mapping[str, str] | None = None,
        **values: object,
    ) -> Self:
        """Read the configuration: file < secrets folder < environment < keyword arguments.

        *path* is a YAML file, by default the one that ``TENANTPOOL_CONFIG`` names; without either
        there is no file. *secrets_dir* (or ``TENANTPOOL_SECRETS_DIR``) holds one file per secret,
        such as ``databases__main__password``. *environ* replaces ``os.environ``, of which
        ``TENANTPOOL_TIERS__GOLD__WEIGHT=4`` and the like are read.

        Reads files, so it blocks. Raises ConfigError with the place of every mistake.
        """
        settings = cls.__new__(cls)
        settings._build(read_layers(cls, path, secrets_dir, environ, values))
        return settings

    def _build(self, layers: Layers) -> None:
        try:
            # Not BaseSettings': it would read sources of its own and lose the places of values.
            BaseModel.__init__(self, **layers.merged())
        except ValidationError as error:
            raise_all(explain(error, type(self)), layers)
        raise_all(check(self), layers)
        _ = self._resolver  # now, and not as the first lease waits

    def tenant(self, name: str) -> TenantSpec:
        """What the manager needs to know of the tenant *name*; not cached.

        Raises UnknownTenant if it is not listed and the template does not take it.
        """
        return self._resolver.tenant(name)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that tell this configuration from another.

        The first 24 are the same wherever the same is read. The last 8 stand for the secrets:
        they can be compared within this process only, so that nobody can try passwords on them.
        Found out once; that takes 0.3 s for 100,000 listed tenants.
        """
        if self._digest is None:
            self._digest = digest_of(self)
        return self._digest

    @property
    def resolver(self) -> Resolver:
        """What tenants are resolved with."""
        return self._resolver

    @cached_property
    def _resolver(self) -> Resolver:
        # A private attribute of pydantic's would take 3 microseconds to read.
        return Resolver(self)

    @property
    def catalog_pool(self) -> PoolSpec | None:
        """Where the catalog is read; None: there is none."""
        catalog = self.catalog
        if catalog is None:
            return None
        return PoolSpec(database_of(self, catalog), catalog.dbname or "", catalog.user)

    def database_limits(self, name: str, capacity: int) -> DatabaseLimits:
        """The limits of the database *name* (KeyError) with its *capacity* in connections."""
        return self.databases[name].limits(capacity)

    def promised(self, name: str) -> int:
        """The sum of the guarantees of those tenants in the database *name* that the file lists.

        Found out while the configuration is read, as 100,000 tenants take 50 ms.
        """
        if self._promises is None:
            self._promises = promises(self)
        return self._promises.get(name, 0)

    def check_capacity(self, name: str, capacity: int) -> None:
        """ConfigError if the database *name* has promised more than *capacity* connections.

        For a capacity that is ``auto``: a number is checked when the configuration is read.
        """
        for problem in check_capacity(self, name, capacity, self.promised(name)):
            raise ConfigError(".".join(problem.loc), problem.text, problem.fix)

    def connection_params(self, pool: PoolSpec) -> dict[str, str]:
        """libpq's parameters for a connection of *pool*. They hold the password.

        A pool without a dbname is in the database that the server's conninfo names.
        """
        return self._resolver.connection_params(pool)

    def conninfo(self, pool: PoolSpec) -> str:
        """The same as one libpq string."""
        return join_conninfo(self.connection_params(pool))

    def __repr__(self) -> str:
        template = "on" if self.template.enabled else "off"
        return (
            f"<Settings databases={len(self.databases)} tiers={len(self.tiers)} "
            f"tenants={len(self.tenants)} template={template}>"
        )

    __str__ = __repr__
