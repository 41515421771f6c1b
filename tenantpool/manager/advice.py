"""What to set, and to what, from what was measured in the last minutes.

Every piece of advice names one setting, its value and another one, and says why in figures. Of
one setting there is one at most: where tenants of a tier differ, the one that needs most speaks,
and nothing is to be lowered that anybody needs. Where a cause is known that a setting does not
mend (a breaker that is open, a leak), that is said instead.

How many connections are needed is Little's law: requests per second × seconds each is held. Those
that were refused or had to wait count, too, as they would have used a connection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Final

from tenantpool.core.limits import CAP
from tenantpool.errors import Reason
from tenantpool.manager.recent import WINDOW, Recent

SETTLED: Final = 0.8
"""Above this part of what there is, requests begin to wait for each other."""
_LITTLE_USED: Final = 0.3
_COMFORTABLE: Final = 0.6
_LONG_ENOUGH: Final = 0.8 * WINDOW
_ENOUGH_REQUESTS: Final = 100
_SHORTEST: Final = 10.0
"""Seconds that must have been measured."""


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do."""

    setting: str
    """Which one, as it is written; empty: what to do is no setting."""
    now: str
    to: str
    why: str
    tenants: tuple[str, ...] = ()
    """Those it is for, the one that needs it most first; empty: for all of a database."""

    def __str__(self) -> str:
        whose = f"{self.tenants[0]}: " if self.tenants else ""
        others = len(self.tenants) - 1
        more = f" (and {others} more {'tenant' if others == 1 else 'tenants'})" * (others > 0)
        what = f"{self.setting} {self.now} → {self.to}: " if self.setting else ""
        return f"{whose}{what}{self.why}{more}"


@dataclass(frozen=True, slots=True)
class Server:
    """What advice needs to know of a database."""

    name: str
    capacity: int
    """Connections; 0: not known yet."""
    is_auto: bool = False
    """Whether the capacity follows the server's ``max_connections``."""
    connect_concurrency: int = 4
    breaker: str = "closed"
    error: str = ""


def advise(
    servers: Iterable[Server], recent: Iterable[Recent], unhappy: frozenset[str]
) -> list[Advice]:
    """What to do; nothing where all is well. *unhappy* are the tenants that are not healthy."""
    by_database: dict[str, list[Recent]] = defaultdict(list)
    for tenant in recent:
        if tenant.seconds >= _SHORTEST:
            by_database[tenant.database].append(tenant)
    found: list[tuple[float, Advice]] = []
    for server in servers:
        tenants = by_database[server.name]
        common = list(_of_database(server, tenants, unhappy))
        found += common
        for tenant in tenants:
            # What is wrong with the database explains all, but for a breaker of the tenant's own.
            if not common or (server.breaker == "closed" and tenant.breaker != "closed"):
                found += _of_tenant(server, tenant, tenant.tenant in unhappy)
    everybody = [tenant for tenants in by_database.values() for tenant in tenants]
    found += _to_lower(everybody, unhappy, {advice.setting for _, advice in found})
    return _one_of_each(found)


def _one_of_each(found: Sequence[tuple[float, Advice]]) -> list[Advice]:
    """Of one setting, the advice that asks for most, with the names of all it is for."""
    by_setting: dict[str, list[tuple[float, Advice]]] = defaultdict(list)
    for number, (weight, advice) in enumerate(found):
        by_setting[advice.setting or f"#{number}"].append((weight, advice))
    merged: list[Advice] = []
    for same in by_setting.values():
        same.sort(key=lambda pair: -pair[0])
        names = (name for _, advice in same for name in advice.tenants)
        merged.append(replace(same[0][1], tenants=tuple(dict.fromkeys(names))))
    return merged


# -- of a database ---------------------------------------------------------------------------------


def _of_database(
    server: Server, tenants: Sequence[Recent], unhappy: frozenset[str]
) -> Iterator[tuple[float, Advice]]:
    if server.breaker != "closed":
        yield 0.0, Advice("", "", "", f"{server.name}: {_breaker_words(server.error)}")
        return
    served = [tenant for tenant in tenants if tenant.breaker == "closed"]
    needed = sum(_needed_under_cap(tenant) for tenant in served)
    waiting = [tenant for tenant in served if tenant.tenant in unhappy]
    if not (waiting and server.capacity and needed > SETTLED * server.capacity):
        return
    setting, note = f"databases.{server.name}.capacity", ""
    if server.is_auto:
        note = " (it is auto: raise max_connections of the server)"
    to = _more(server.capacity, needed, needed + sqrt(needed))
    most = sorted(waiting, key=lambda tenant: -tenant.needed)
    why = (
        f"{needed:.1f} connections were needed on average over the last "
        f"{_minutes(most[0].seconds)} by {len(served)} tenant{'s' * (len(served) != 1)}{note}"
    )
    names = tuple(tenant.tenant for tenant in most)
    yield needed, Advice(setting, str(server.capacity), str(to), why, names)


def _needed_under_cap(tenant: Recent) -> float:
    """What it would use of the database: no more than it may."""
    return min(tenant.needed, tenant.limits.enforced_ceiling)


def _breaker_words(error: str) -> str:
    """What the last failed connect says, and what to look at."""
    first = error.splitlines()[0] if error else "connects fail"
    return f"connects fail ({first}): {_check(error)}; the breaker closes by itself then"


def _check(error: str) -> str:
    """What to look at; the words are those of an English server."""
    if "does not exist" in error:
        return "create it, or correct dbname or user of the tenant"
    if "authentication failed" in error or "no password supplied" in error:
        return "correct the password, and see pg_hba.conf"
    if "pg_hba.conf" in error:
        return "let this host in with a line in pg_hba.conf"
    if "too many" in error or "slots are reserved" in error:
        return "others use the server: lower capacity, or raise max_connections"
    return "check that PostgreSQL runs and can be reached from here with this conninfo"


# -- of a tenant -----------------------------------------------------------------------------------


def _of_tenant(server: Server, tenant: Recent, is_unhappy: bool) -> Iterator[tuple[float, Advice]]:
    """One thing at most; the first of these causes explains what comes after it."""
    name = (tenant.tenant,)
    if tenant.breaker != "closed":
        yield 0.0, Advice("", "", "", _breaker_words(tenant.error), name)
    elif tenant.leaks:
        yield 0.0, Advice("", "", "", _leak_words(tenant), name)
    elif is_unhappy:
        yield from _of_unhappy(server, tenant)


def _leak_words(tenant: Recent) -> str:
    return (
        f"{tenant.leaks} lease{'s' * (tenant.leaks != 1)} held for more than leak_after "
        f"({tenant.limits.leak_after:g} s) in the last {_minutes(tenant.seconds)}: the log names "
        "who took them; mend that, or raise leak_after if the work takes so long"
    )


def _of_unhappy(server: Server, tenant: Recent) -> Iterator[tuple[float, Advice]]:
    limits, needed = tenant.limits, tenant.needed
    commonest = max(tenant.refused, key=lambda reason: tenant.refused[reason], default=None)
    if commonest is Reason.RATE_LIMIT and limits.rate is not None and tenant.arrivals > limits.rate:
        yield _set(tenant, "rate", limits.rate, ceil(tenant.arrivals), _asked_words(tenant))
        return
    wanted = _wanted(tenant)
    if wanted > limits.cap and CAP not in limits.trial:
        yield from _raise_cap(tenant, wanted)
    elif commonest is Reason.QUEUE_FULL:
        why = (
            f"the queue was full {tenant.refused[commonest]} times, though {needed:.1f} connections"
            f" of {limits.cap} were enough on average: bursts have to wait"
        )
        yield _set(tenant, "max_waiting", limits.max_waiting, 2 * limits.max_waiting, why)
    elif commonest is Reason.CONNECT_TIMEOUT:
        setting, now = f"databases.{server.name}.connect_concurrency", server.connect_concurrency
        why = f"{tenant.refused[commonest]} requests waited in vain for a connect"
        yield 2.0 * now, Advice(setting, str(now), str(2 * now), why, (tenant.tenant,))
    elif limits.min_size < ceil(needed):
        why = f"{_needed_words(tenant)}, and each that is opened anew is waited for"
        yield _set(tenant, "min_size", limits.min_size, ceil(needed), why)


def _wanted(tenant: Recent) -> int:
    """The cap that would do, at most twice what it is.

    Where the cap is enough on average, queues drain, so what was in use or waiting in all but the
    busiest twentieth is what bursts need. Where it is not, queues are always long and say nothing:
    then it is the mean and twice its root, for requests that come independently of each other.
    """
    needed, cap = tenant.needed, tenant.limits.cap
    burst = float(tenant.peak) if needed <= cap else needed + 2 * sqrt(needed)
    return _more(cap, needed, min(burst, tenant.peak)) if max(needed, burst) > cap else cap


def _more(now: int, needed: float, burst: float) -> int:
    return max(now + 1, min(2 * now, ceil(max(needed, burst))))


def _raise_cap(tenant: Recent, wanted: int) -> Iterator[tuple[float, Advice]]:
    scale = tenant.limits.autoscale
    why = _needed_words(tenant)
    if tenant.peak > tenant.needed + 1:
        why += f", and up to {tenant.peak} at a time"
    if scale is None:
        yield _set(tenant, "cap", tenant.limits.cap, wanted, why)
    elif tenant.limits.cap >= scale.ceiling:
        yield _set(tenant, "autoscale.ceiling", scale.ceiling, wanted, why)


def _needed_words(tenant: Recent) -> str:
    return (
        f"{tenant.needed:.1f} connections were needed on average over the last "
        f"{_minutes(tenant.seconds)} ({tenant.arrivals:.1f} requests/s × {tenant.hold_mean:.2g} s)"
    )


def _asked_words(tenant: Recent) -> str:
    return (
        f"{tenant.arrivals:.1f} requests/s were asked for over the last {_minutes(tenant.seconds)}"
    )


def _set(tenant: Recent, name: str, now: float, to: float, why: str) -> tuple[float, Advice]:
    setting = f"tiers.{tenant.limits.tier}.{name}"
    return float(to), Advice(setting, f"{now:g}", f"{to:g}", why, (tenant.tenant,))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


# -- what is too much ------------------------------------------------------------------------------


def _to_lower(
    recent: Iterable[Recent], unhappy: frozenset[str], settings: set[str]
) -> Iterator[tuple[float, Advice]]:
    """Caps of which no tenant of the tier uses much."""
    by_tier: Mapping[str, list[Recent]] = defaultdict(list)
    for tenant in recent:
        by_tier[tenant.limits.tier].append(tenant)
    for tier, tenants in by_tier.items():
        is_well = not any(tenant.tenant in unhappy or tenant.leaks for tenant in tenants)
        if is_well and f"tiers.{tier}.cap" not in settings:
            yield from _lower_cap(tenants)


def _lower_cap(tenants: Sequence[Recent]) -> Iterator[tuple[float, Advice]]:
    most = max(tenants, key=lambda tenant: tenant.needed)
    limits = most.limits
    enough = sum(tenant.requests for tenant in tenants) >= _ENOUGH_REQUESTS
    if limits.autoscale is not None or not enough or most.seconds < _LONG_ENOUGH:
        return
    if most.needed >= _LITTLE_USED * limits.cap:
        return
    peak = max(tenant.peak for tenant in tenants)
    least = max(1, limits.guarantee, limits.min_size - limits.overflow)
    to = max(least, peak, ceil(most.needed / _COMFORTABLE))
    if to < limits.cap:
        why = f"it could be lower: no more than {_needed_words(most)}, at most {peak} at a time"
        yield _set(most, "cap", limits.cap, to, why)
