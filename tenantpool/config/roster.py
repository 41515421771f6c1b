"""Who is a tenant now, and what each one gets: settings, catalog and overrides together."""

from __future__ import annotations

from dataclasses import replace

from tenantpool.config.checks import check_capacity
from tenantpool.config.listing import Listing
from tenantpool.config.overrides import Overrides
from tenantpool.config.resolve import SUSPENDED
from tenantpool.config.resolved import TenantSpec
from tenantpool.config.settings import Settings
from tenantpool.config.tenants import Tenant
from tenantpool.errors import ConfigError, UnknownTenant

_SUSPENDED = "the catalog says so"
"""Why a tenant is suspended that is so in its row."""


class Roster:
    """An override wins over the tenants of the file, these over the catalog's, and these over the
    template. Immutable; nothing here blocks.
    """

    __slots__ = ("listing", "overrides", "settings")

    def __init__(
        self,
        settings: Settings,
        listing: Listing = Listing.EMPTY,
        overrides: Overrides = Overrides.NONE,
    ) -> None:
        self.settings = settings
        self.listing = listing if settings.catalog is not None else Listing.EMPTY
        self.overrides = overrides

    def __repr__(self) -> str:
        return f"<Roster {self.settings!r} {self.listing!r} {self.overrides!r}>"

    @property
    def known(self) -> bool:
        """Whether everything has been read: there is no catalog, or its listing is here."""
        return self.settings.catalog is None or self.listing is not Listing.EMPTY

    @property
    def digest(self) -> str:
        """Tells one configuration from another, for compare-and-set; see ``Settings.digest``."""
        return self.settings.digest

    def with_settings(self, settings: Settings) -> Roster:
        """The same catalog and overrides under other settings."""
        return Roster(settings, self.listing, self.overrides)

    def with_listing(self, listing: Listing) -> Roster:
        """The same with what the catalog says now."""
        return Roster(self.settings, listing, self.overrides)

    def with_overrides(self, overrides: Overrides) -> Roster:
        """The same with those overrides, and no others."""
        return Roster(self.settings, self.listing, overrides)

    def tenant(self, name: str) -> TenantSpec:
        """What the manager needs to know of the tenant *name*; not cached.

        Raises UnknownTenant if nobody lists it and the template does not take it, if its row in the
        catalog makes no sense, or if the catalog would have to be asked and has not been read yet.
        An override to a tier that is not there (any more) changes nothing.
        """
        resolver = self.settings.resolver
        entry, suspended = self._entry(name)
        tenant = resolver.complete(name, entry)
        override = self.overrides.tier(name)
        if override is not None and override.tier in self.settings.tiers:
            tenant = replace(tenant, tier=override.tier)
        suspension = self.overrides.suspension(name)
        if suspension is not None:
            suspended = str(suspension) if suspension.suspended else ""
        return resolver.spec(name, tenant, suspended)

    def lists(self, name: str) -> bool:
        """Whether the file or the catalog lists the tenant, so that no template is needed."""
        return name in self.settings.tenants or name in self.listing

    def check_capacity(self, name: str, capacity: int) -> None:
        """ConfigError if the database *name* has promised more than *capacity* connections.

        Other than :meth:`Settings.check_capacity` it counts the catalog and the overrides, too.
        """
        guarantees, by_overrides = self.promised(name), self._promised_by_overrides(name)
        for problem in check_capacity(self.settings, name, capacity, guarantees, by_overrides):
            raise ConfigError(".".join(problem.loc), problem.text, problem.fix)

    def promised(self, database: str) -> int:
        """The sum of the guarantees in that database."""
        settings = self.settings
        total = settings.promised(database)
        for (tier, place), times in self.listing.places().items():
            here = place or settings.template.database or next(iter(settings.databases))
            found = settings.tiers.get(tier or settings.default_tier)
            if found is not None and here == database:
                total += found.guarantee * times
        return total + self._promised_by_overrides(database)

    def _entry(self, name: str) -> tuple[Tenant | None, str]:
        """What is written of the tenant, in the file or the catalog, and why it is suspended."""
        entry = self.settings.tenants.get(name)
        if entry is not None:
            return entry, SUSPENDED if entry.suspended else ""
        if not self.known:
            raise UnknownTenant(name, "the catalog has not been read yet")
        try:
            entry = self.listing.get(name)
        except ValueError as error:
            raise UnknownTenant(name, f"its row in the catalog is wrong: {error}") from None
        return entry, _SUSPENDED if entry is not None and entry.suspended else ""

    def _promised_by_overrides(self, database: str) -> int:
        names = self.overrides.tenants
        overridden = (name for name in names if self.overrides.tier(name) is not None)
        return sum(self._promised_by_override(name, database) for name in overridden)

    def _promised_by_override(self, name: str, database: str) -> int:
        """How much larger an override makes the guarantee of the tenant *name* there.

        One that makes it smaller gives nobody anything to promise: it will end.
        """
        try:
            spec, before = self.tenant(name), self.with_overrides(Overrides.NONE).tenant(name)
        except UnknownTenant:
            return 0
        here = spec.pool.database == database
        return max(0, spec.limits.guarantee - before.limits.guarantee) if here else 0
