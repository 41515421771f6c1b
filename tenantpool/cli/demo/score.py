"""The figures of one moment, and the verdict at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tenantpool.cli.demo.cast import CAPACITY, SERVED, TENANTS, Tenant
from tenantpool.manager.stats import ManagerStats, TenantStats


@dataclass(frozen=True, slots=True)
class Line:
    """One tenant in the table."""

    tenant: Tenant
    stats: TenantStats | None
    """None before its first request."""
    share: float
    """Its part of the slot-seconds that the capacity has offered so far."""

    @property
    def entitled(self) -> float:
        """Its part by weight of what there is, were all served tenants always waiting."""
        if self.tenant.is_missing:
            return 0.0
        return self.tenant.weight / sum(tenant.weight for tenant in SERVED)


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that is shown of one moment."""

    elapsed: float
    seconds: float
    lines: tuple[Line, ...]
    leases: int
    used: int
    waiting: int
    opened: int
    """Connections opened so far."""
    refused: Mapping[str, int]
    latest: int
    """Connections that pg_stat_activity showed last."""
    most: int
    """Most connections that pg_stat_activity has shown."""
    looks: int
    """How often it was asked."""

    @property
    def utilisation(self) -> float:
        """Part of the capacity that was lent, over all the time."""
        return sum(line.share for line in self.lines)

    def with_shares_of(self, earlier: Score) -> Score:
        """The counts of this moment, the shares of when all tenants were still at work."""
        pairs = zip(self.lines, earlier.lines, strict=True)
        lines = tuple(replace(line, share=old.share) for line, old in pairs)
        return replace(self, lines=lines, elapsed=earlier.elapsed)


def read(
    stats: ManagerStats, elapsed: float, seconds: float, latest: int, most: int, looks: int
) -> Score:
    """Turn a snapshot of the manager into what the demo shows."""
    offered = CAPACITY * max(elapsed, 1e-9)
    lines = []
    for tenant in TENANTS:
        found = stats.tenants.get(tenant.name)
        lines.append(Line(tenant, found, found.held / offered if found else 0.0))
    (database,) = stats.databases.values()
    return Score(
        elapsed=elapsed,
        seconds=seconds,
        lines=tuple(lines),
        leases=stats.leases,
        used=database.used,
        waiting=database.waiting,
        opened=database.opened,
        refused=_refusals(stats),
        latest=latest,
        most=most,
        looks=looks,
    )


def judge(score: Score, *, in_full: bool) -> list[str]:
    """What should have held and did not; ``in_full``: it was not stopped early."""
    wrong: list[str] = []
    if score.most > CAPACITY:
        wrong.append(f"{score.most} connections in pg_stat_activity, capacity {CAPACITY}")
    if not in_full:
        return wrong
    if score.most < CAPACITY:
        wrong.append(f"only {score.most} of {CAPACITY} connections were ever used")
    for line in score.lines:
        leases = line.stats.leases if line.stats else 0
        if line.tenant.is_missing and not (line.stats and line.stats.refused):
            wrong.append(f"{line.tenant.name} had no database at first, but was not refused")
        if not line.tenant.is_missing and not leases:
            wrong.append(f"{line.tenant.name} got no lease")
    return wrong


def last_line(score: Score, wrong: list[str]) -> str:
    """``demo: ok ...`` or ``demo: failed ...``, for people and for scripts."""
    refused = ", ".join(f"{reason} {count:,}" for reason, count in score.refused.items())
    figures = (
        f"{score.leases:,} leases; at most {score.most} connections in pg_stat_activity,"
        f" capacity {CAPACITY}; refusals: {refused or 'none'}"
    )
    return f"demo: failed: {'; '.join(wrong)}; {figures}" if wrong else f"demo: ok {figures}"


def _refusals(stats: ManagerStats) -> dict[str, int]:
    """Refusals of all tenants by reason, the commonest first."""
    counts: dict[str, int] = {}
    for tenant in stats.tenants.values():
        for reason, count in tenant.refused.items():
            counts[reason] = counts.get(reason, 0) + count
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
