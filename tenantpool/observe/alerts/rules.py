"""The rules: what of a sight should not be so. Each has a name and labels as in Prometheus.

The same rules for Prometheus are in ``deploy/prometheus/alerts.yaml``, with ``Tenantpool`` before
their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from tenantpool.config.alerts import Alerts
from tenantpool.core.breaker import CLOSED
from tenantpool.observe.figures import duration, percent, plural
from tenantpool.observe.quantiles import quantile

from .board import Finding, Key
from .sight import DatabaseSight, Past, Sight, TierSight

_LATELY = 300.0
_BUSY_EVICTIONS = 1.0
"""Where more connections than this are evicted each second, there is always one that closes."""
_MOST_NAMES = 5
_SHORTEST_LOOK = 1.0


class _Scene(NamedTuple):
    """What a rule looks at."""

    now: float
    sight: Sight
    past: Past
    settings: Alerts

    def tiers(self, seconds: float) -> Iterator[tuple[str, str, TierSight]]:
        """What each tier on each database had in the last *seconds*."""
        _, before = self.past.before(self.now, seconds)
        for (database, tier), sums in self.sight.tiers.items():
            yield database, tier, _less(sums, before.tiers.get((database, tier), TierSight()))


Found = Iterator[tuple[Key, Finding]]


def find(now: float, sight: Sight, past: Past, settings: Alerts) -> Mapping[Key, Finding]:
    """All that should not be so at *now*, by the rules that are switched on."""
    scene = _Scene(now, sight, past, settings)
    rules = settings.rules
    return {
        key: finding
        for name, rule in RULES.items()
        if rules[name].enabled
        for key, finding in rule(scene)
    }


def _key(name: str, database: str = "", tier: str = "") -> Key:
    labels = (("database", database), ("tier", tier))
    return Key(name, tuple((label, value) for label, value in labels if value))


def _less(sums: TierSight, before: TierSight) -> TierSight:
    waits = before.waits or [0] * len(sums.waits)
    return TierSight(
        sums.leases - before.leases,
        sums.refused - before.refused,
        sums.leaks - before.leaks,
        [new - old for new, old in zip(sums.waits, waits, strict=True)],
    )


# -- of tiers --------------------------------------------------------------------------------------


def _wait_too_long(scene: _Scene) -> Found:
    most = scene.settings.wait_too_long.above
    for database, tier, sums in scene.tiers(_LATELY):
        wait = quantile(0.99, sums.waits) if sums.waits else None
        if wait is not None and wait > most:
            yield (
                _key("WaitTooLong", database, tier),
                Finding(
                    wait,
                    f"tier {tier} waits {duration(wait)} for {database}",
                    f"One lease in a hundred waits longer than {duration(most)}. If {database} is"
                    " saturated too, raise its capacity or see who holds leases for long. If it is"
                    f" not, tenants of {tier} are at their cap: raise it, or shorten what they do.",
                ),
            )


def _refusals(scene: _Scene) -> Found:
    for database, tier, sums in scene.tiers(_LATELY):
        part = sums.refused / max(1, sums.refused + sums.leases)
        if part > scene.settings.refusals.above:
            yield (
                _key("Refusals", database, tier),
                Finding(
                    part,
                    f"{percent(part)} of the requests of tier {tier} on {database} are refused",
                    "Their reasons say what to change. TENANT_LIMIT and QUEUE_FULL: the tier's cap"
                    " or max_waiting. DATABASE_LIMIT: the capacity. RATE_LIMIT: the tier's rate."
                    " BREAKER_OPEN and CONNECT_FAILED: the database.",
                ),
            )


def _leaks(scene: _Scene) -> Found:
    for database, tier, sums in scene.tiers(scene.settings.leaks.within):
        if sums.leaks > 0:
            yield (
                _key("Leaks", database, tier),
                Finding(
                    sums.leaks,
                    f"{plural(sums.leaks, 'lease')} of tier {tier} on {database} held for"
                    " longer than leak_after",
                    "The log says of whom, since when and at which line of code they were taken."
                    " Mend the code that does not give them back; revoke them if others have to"
                    " wait. If the work takes that long, raise leak_after.",
                ),
            )


# -- of databases ----------------------------------------------------------------------------------


def _saturated(scene: _Scene) -> Found:
    for name, seen in scene.sight.databases.items():
        part = seen.in_use / seen.capacity if seen.capacity else 0.0
        if part > scene.settings.saturated.above and seen.waiting:
            yield (
                _key("Saturated", name),
                Finding(
                    part,
                    f"{name} is full: {percent(part)} lent, and {plural(seen.waiting, 'request')}"
                    " waiting",
                    "Demand is above capacity. Look for leases that are held for long first. If"
                    f" they are what they have to be, raise databases.{name}.capacity, and"
                    " max_connections with it, or move tenants to another database.",
                ),
            )


def _breaker_open(scene: _Scene) -> Found:
    for name, seen in scene.sight.databases.items():
        if seen.breaker != CLOSED:
            yield (
                _key("BreakerOpen", name),
                Finding(
                    1.0,
                    f"tenantpool cannot connect to {name}: {seen.error}",
                    "Requests that would need a new connection are refused at once; leases go on."
                    " Check that PostgreSQL runs and can be reached from here, its"
                    " max_connections, and its password. The breaker closes by itself with the"
                    " first connect that works.",
                ),
            )


def _tenant_breakers_open(scene: _Scene) -> Found:
    for name, seen in scene.sight.databases.items():
        if seen.shut:
            count = len(seen.shut)
            first, error = seen.shut[0]
            others = count - _MOST_NAMES
            named = ", ".join(pool for pool, _ in seen.shut[:_MOST_NAMES])
            named += f" and {others} more" if others > 0 else ""
            yield (
                _key("TenantBreakersOpen", name),
                Finding(
                    count,
                    f"connects of {plural(count, 'pool')} on {name} fail: {named}",
                    f"{first}: {error}. The others are served. Usually a database or a role does"
                    " not exist, or a password was changed in one place only. Breakers close by"
                    " themselves with the first connect that works.",
                ),
            )


def _slot_leak(scene: _Scene) -> Found:
    seconds, before = scene.past.before(scene.now, _LATELY)
    for name, seen in scene.sight.databases.items():
        if not seen.closing or _evictions(seen, before.databases.get(name), seconds):
            continue
        yield (
            _key("SlotLeak", name),
            Finding(
                seen.closing,
                f"{plural(seen.closing, 'connection')} to {name} will not close",
                "They were told to end, and their backends are still there, so their slots cannot"
                " be lent. Find them in pg_stat_activity by application_name: a backend that"
                " hangs, or a network that drops packets, are the usual causes."
                " pg_terminate_backend ends them.",
            ),
        )


def _evictions(seen: DatabaseSight, before: DatabaseSight | None, seconds: float) -> bool:
    """Whether slots move so fast that one that closes says nothing."""
    count = seen.evictions - (before.evictions if before is not None else 0)
    return count / max(seconds, _SHORTEST_LOOK) > _BUSY_EVICTIONS


def _overshoot(scene: _Scene) -> Found:
    for name, seen in scene.sight.databases.items():
        if seen.overshoots:
            yield (
                _key("Overshoot", name),
                Finding(
                    seen.overshoots,
                    f"{plural(seen.overshoots, 'connection')} to {name} begun beyond its capacity",
                    "This must never happen and is a defect: please report it with the log of the"
                    f" time. Until then lower databases.{name}.capacity. It stays so until the"
                    " service is restarted.",
                ),
            )


# -- of the service --------------------------------------------------------------------------------


def _reload_failed(scene: _Scene) -> Found:
    if problem := scene.sight.reload_problem:
        yield (
            _key("ReloadFailed"),
            Finding(
                1.0,
                f"the new configuration was refused: {problem}",
                "The last good configuration stays in force, but a restart would fail. The log has"
                " a line for each mistake with its place; tenantpool check-config says the same.",
            ),
        )


RULES: Final[dict[str, Callable[[_Scene], Found]]] = {
    "WaitTooLong": _wait_too_long,
    "Saturated": _saturated,
    "BreakerOpen": _breaker_open,
    "TenantBreakersOpen": _tenant_breakers_open,
    "Leaks": _leaks,
    "Refusals": _refusals,
    "ReloadFailed": _reload_failed,
    "SlotLeak": _slot_leak,
    "Overshoot": _overshoot,
}
