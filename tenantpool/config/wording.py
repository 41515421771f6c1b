"""How a plan puts the changes of databases, tiers and tenants into words."""

from __future__ import annotations

from collections.abc import Iterator

from tenantpool.config.conninfo import HIDDEN, read_conninfo
from tenantpool.config.diff import differences
from tenantpool.config.models import Database, Tier
from tenantpool.config.resolved import PoolSpec, Setting, TenantSpec
from tenantpool.core.limits import TenantLimits

_TELLING = ("cap", "overflow", "guarantee", "weight", "min_size", "max_waiting", "rate")
"""What somebody wants to know of another tier."""

_RENEWED = "connections are renewed"


def counted(number: int, what: str = "tenant") -> str:
    """1 tenant, 1,200 tenants."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def database_words(old: Database, new: Database) -> str:
    """What differs; empty if nothing does."""
    found = [*_conninfo_words(old, new)]
    if old.password != new.password:
        found.append(f"password changed ({_RENEWED})")
    apart = {"conninfo", "password"}
    found += [d.words() for d in differences(old, new) if d.loc[0] not in apart]
    return ", ".join(found)


def _conninfo_words(old: Database, new: Database) -> Iterator[str]:
    """What changed in the string, as far as it is no secret."""
    if old.conninfo == new.conninfo:
        return
    before, after = (read_conninfo(db.conninfo.get_secret_value()) for db in (old, new))
    plain = [
        f"{key} {before.get(key, 'absent')} → {after.get(key, 'absent')}"
        for key in {**before, **after}
        if before.get(key) != after.get(key) and HIDDEN not in (before.get(key), after.get(key))
    ]
    yield f"conninfo changed ({', '.join([*plain, _RENEWED])})"


def tier_words(old: Tier, new: Tier) -> str:
    """What differs; empty if nothing does."""
    return ", ".join(difference.words() for difference in differences(old, new))


def tenant_words(old: TenantSpec, new: TenantSpec) -> Iterator[str]:
    """What differs, apart from the limits of a tier that it keeps."""
    if old.limits.tier != new.limits.tier:
        limits = ", ".join(_limit_words(old.limits, new.limits))
        yield f"{old.limits.tier} → {new.limits.tier}" + (f" ({limits})" if limits else "")
    yield from _pool_words(old.pool, new.pool)
    sessions = _setting_names(old.pool.startup, new.pool.startup)
    sessions |= _setting_names(old.session, new.session)
    if sessions and (old.limits.tier == new.limits.tier or old.session != new.session):
        yield f"its sessions change ({', '.join(sorted(sessions))})"
    if old.suspended != new.suspended:
        yield f"suspended ({new.suspended})" if new.suspended else "no longer suspended"


def new_tenant_words(spec: TenantSpec) -> str:
    """What somebody wants to know of a tenant that comes."""
    suspended = f", suspended ({spec.suspended})" if spec.suspended else ""
    return f"new ({spec.limits.tier}, in {_place(spec.pool)}{suspended})"


def _limit_words(old: TenantLimits, new: TenantLimits) -> Iterator[str]:
    for name in _TELLING:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield f"{name} {_number(before)} → {_number(after)}"


def _number(value: float | None) -> str:
    return "null" if value is None else f"{value:g}"


def _pool_words(old: PoolSpec, new: PoolSpec) -> Iterator[str]:
    if (old.database, old.dbname) != (new.database, new.dbname):
        brief = old.dbname == new.dbname
        ends = (old.database, new.database) if brief else (_place(old), _place(new))
        yield f"moves from {ends[0]} to {ends[1]}"
    if old.user != new.user:
        yield f"logs in as {new.user or 'the user of the conninfo'}"


def _place(pool: PoolSpec) -> str:
    return f"{pool.database}/{pool.dbname}" if pool.dbname else pool.database


def _setting_names(old: tuple[Setting, ...], new: tuple[Setting, ...]) -> set[str]:
    return {name for name, _ in set(old) ^ set(new)}
