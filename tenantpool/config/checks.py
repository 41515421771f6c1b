"""What must fit together in a configuration whose single values are all valid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tenantpool.config.autoscale import Autoscale
from tenantpool.config.explain import Problem, did_you_mean
from tenantpool.config.models import Breaker, Tier
from tenantpool.config.resolve import database_of, reason
from tenantpool.config.service_checks import check_service
from tenantpool.config.tenants import Tenant

if TYPE_CHECKING:
    from tenantpool.config.catalog import Catalog
    from tenantpool.config.settings import Settings


def check(settings: Settings) -> Iterator[Problem]:
    """Everything that does not fit together, in the order of the file."""
    for name, database in settings.databases.items():
        yield from _check_breaker(("databases", name), database.breaker)
    for name, tier in settings.tiers.items():
        yield from _check_tier(name, tier)
        yield from _check_breaker(("tiers", name), tier.breaker)
    yield from _check_tier_name(settings, ("default_tier",), settings.default_tier)
    for name, tenant in settings.tenants.items():
        yield from _check_tenant(settings, name, tenant)
    yield from _check_passwords(settings)
    yield from _check_template(settings)
    if settings.catalog is not None:
        yield from _check_catalog(settings, settings.catalog)
    yield from _check_guarantees(settings)
    yield from check_service(settings)


def _check_breaker(loc: tuple[str, ...], breaker: Breaker) -> Iterator[Problem]:
    if breaker.backoff > breaker.backoff_max:
        text = f"{breaker.backoff:g} is more than backoff_max {breaker.backoff_max:g}"
        yield Problem((*loc, "breaker", "backoff"), text)


def _check_tier(name: str, tier: Tier) -> Iterator[Problem]:
    loc = ("tiers", name)
    if tier.min_size > tier.ceiling:
        text = f"{tier.min_size} is more than cap {tier.cap} + overflow {tier.overflow}"
        yield Problem((*loc, "min_size"), text, f"write {tier.ceiling} or less")
    if tier.guarantee > tier.cap:
        text = f"{tier.guarantee} is more than cap {tier.cap}"
        yield Problem((*loc, "guarantee"), text, f"write {tier.cap} or less")
    if tier.leak_revoke and tier.leak_after is None:
        yield Problem((*loc, "leak_revoke"), "does nothing alone", "set leak_after too")
    if tier.autoscale is not None:
        yield from _check_autoscale(loc, tier, tier.autoscale)


def _check_autoscale(loc: tuple[str, ...], tier: Tier, autoscale: Autoscale) -> Iterator[Problem]:
    loc = (*loc, "autoscale")
    if not autoscale.floor <= tier.cap <= autoscale.ceiling:
        text = f"{autoscale.floor} to {autoscale.ceiling} does not include cap {tier.cap}"
        yield Problem(loc, text, "cap is where it begins")
    if autoscale.floor < tier.guarantee:
        text = f"{autoscale.floor} is less than guarantee {tier.guarantee}"
        yield Problem((*loc, "floor"), text, f"write {tier.guarantee} or more")
    if autoscale.floor + tier.overflow < tier.min_size:
        text = f"{autoscale.floor} + overflow {tier.overflow} is less than min_size {tier.min_size}"
        yield Problem((*loc, "floor"), text, f"write {tier.min_size - tier.overflow} or more")


def _check_tenant(settings: Settings, name: str, tenant: Tenant) -> Iterator[Problem]:
    loc = ("tenants", name)
    yield from _check_tier_name(settings, (*loc, "tier"), tenant.tier)
    if tenant.database is not None or settings.template.database is None:
        yield from _check_database_name(settings, (*loc, "database"), tenant.database)
    if tenant.password is not None and tenant.user is None:
        yield Problem((*loc, "password"), "belongs to no user", "set user too")
    if tenant.schema is not None and "search_path" in map(str.lower, tenant.settings):
        text = "sets search_path, and so does schema"
        yield Problem((*loc, "settings"), text, "keep one of them")
    try:
        settings.template.complete(name, tenant)
    except ValueError as error:
        yield Problem(loc, f"the template gives it no place: {reason(error)}", "set dbname")


def _check_passwords(settings: Settings) -> Iterator[Problem]:
    """A login role has one password, whichever tenants use it."""
    first: dict[tuple[str, str | None], tuple[str, str]] = {}
    for name, tenant in settings.tenants.items():
        if tenant.password is None:
            continue
        password = tenant.password.get_secret_value()
        login = (database_of(settings, tenant), tenant.user)
        known, by = first.setdefault(login, (password, name))
        if known != password:
            text = f"differs from the one that tenants.{by} gives for user {tenant.user}"
            yield Problem(("tenants", name, "password"), text, "give it once")


def _check_template(settings: Settings) -> Iterator[Problem]:
    template = settings.template
    yield from _check_tier_name(settings, ("template", "tier"), template.tier)
    if template.enabled or template.database is not None:
        yield from _check_database_name(settings, ("template", "database"), template.database)
    if template.enabled:
        yield from _check_unlisted(settings)


def _check_unlisted(settings: Settings) -> Iterator[Problem]:
    """What an unbounded number of tenants, of whom only the name is known, must not be."""
    template = settings.template
    if not template.tells_apart():
        yield Problem(
            ("template",),
            "nothing tells its tenants apart",
            "put {tenant} into dbname, user, role, schema or a setting",
        )
    tier = template.tier or settings.default_tier
    if tier in settings.tiers and settings.tiers[tier].guarantee:
        yield Problem(
            ("tiers", tier, "guarantee"),
            "cannot be kept: the template takes any number of tenants into this tier",
            "give the template a tier without guarantee, or set template.enabled to false",
        )


def _check_catalog(settings: Settings, catalog: Catalog) -> Iterator[Problem]:
    if (catalog.table is None) == (catalog.query is None):
        text = "needs a table or a query" if catalog.table is None else "has a table and a query"
        yield Problem(("catalog",), text, "set one of them")
    yield from _check_database_name(settings, ("catalog", "database"), catalog.database)
    if catalog.password is not None and catalog.user is None:
        yield Problem(("catalog", "password"), "belongs to no user", "set user too")


def _check_guarantees(settings: Settings) -> Iterator[Problem]:
    for name, database in settings.databases.items():
        guarantees = settings.promised(name)
        if database.capacity != "auto":
            yield from check_capacity(settings, name, database.capacity, guarantees)


def promises(settings: Settings) -> Counter[str]:
    """For each database the sum of the guarantees of those tenants that the file lists."""
    found: Counter[str] = Counter()
    if any(tier.guarantee for tier in settings.tiers.values()):
        for tenant in settings.tenants.values():
            if tier := settings.tiers.get(tenant.tier or settings.default_tier):
                found[database_of(settings, tenant)] += tier.guarantee
    return found


def check_capacity(
    settings: Settings, name: str, capacity: int, guarantees: int, by_overrides: int = 0
) -> Iterator[Problem]:
    """A guarantee is a promise, so all those of the database *name* must fit into *capacity*."""
    is_auto = settings.databases[name].capacity == "auto"
    if guarantees > capacity:
        text = f"{capacity} is less than its tenants' guarantees, {guarantees} in all"
        if by_overrides:
            text += f", {by_overrides} of them by overrides"
        more = "max_connections of the server" if is_auto else "it"
        yield Problem(("databases", name, "capacity"), text, f"lower them, or raise {more}")


def _check_tier_name(
    settings: Settings, loc: tuple[str, ...], tier: str | None
) -> Iterator[Problem]:
    if tier is not None and tier not in settings.tiers:
        yield Problem(loc, f"there is no tier {tier}", did_you_mean(tier, settings.tiers))


def _check_database_name(
    settings: Settings, loc: tuple[str, ...], database: str | None
) -> Iterator[Problem]:
    if database is None and len(settings.databases) > 1:
        names = ", ".join(settings.databases)
        yield Problem(loc, "is missing: there are several databases", f"one of {names}")
    elif database is not None and database not in settings.databases:
        text = f"there is no database {database}"
        yield Problem(loc, text, did_you_mean(database, settings.databases))
