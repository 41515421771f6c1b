"""A tenant as the pages show it: how it does, what decides that, and what to do."""

from __future__ import annotations

from heapq import nlargest
from math import inf
from time import monotonic, time
from typing import NamedTuple

from tenantpool.config.overrides import Override
from tenantpool.core.counters import MAX_LEASE
from tenantpool.core.limits import RECALL, RETURN
from tenantpool.core.tenant import Tenant
from tenantpool.errors import Reason
from tenantpool.manager._async.shell import AsyncShell
from tenantpool.manager.health import Verdict, assess
from tenantpool.manager.scaled import Scaled
from tenantpool.manager.stats import ManagerStats, TenantStats, tenant_stats
from tenantpool.service.loan import Loan
from tenantpool.service.overriding import without

from .access import Visitor
from .advisor import Counsel
from .figures import duration, plural
from .gathered import gathered
from .leases import row_of
from .look import Look, Query, Values
from .reading import load_of

_MOST_CHANGES = 5
_MOST_FINDINGS = 20
_MOST_LEASES = 8

_TRIALS: dict[str, str] = {
    Reason.TENANT_LIMIT: "lent above cap",
    Reason.QUEUE_FULL: "queued above max_waiting",
    Reason.RATE_LIMIT: "lent above rate",
    MAX_LEASE: "held beyond max_lease",
}
"""What a limit on trial let pass."""


class OverrideRow(NamedTuple):
    """An override in words. Times are seconds since the epoch."""

    tenant: str
    what: str
    was: str
    author: str
    reason: str
    made_at: float
    until: float | None
    """None: until somebody removes it."""
    id: str


async def tenant_page(look: Look, visitor: Visitor, query: Query, of: str) -> Values:
    """The page of the tenant *of*."""
    spec = look.source.manager.roster.tenant(of)
    counsel = await look.advisor.counsel()
    values = tenant_row(look, of, counsel) | {
        "spec": spec,
        "limits": spec.limits,
        "advice": counsel.of(of),
        "scaling": _scaling(look, of),
        "overrides": [override_row(look, o) for o in look.source.manager.roster.overrides.of(of)],
        "findings": await _findings(look, of),
        "now": time(),
    }
    seat = look.seat(of)
    if seat is None:
        return values | {"leases": [], "all_leases": 0, "waiters": []}
    tenant, now = seat[1], monotonic()
    waiters = sorted(tenant.queue, key=lambda request: request.since)
    loans = [loan for loan in look.source.desk.ledger.loans.values() if loan.tenant is tenant]
    return values | {
        "limits": tenant.limits,
        "leases": [row_of(loan) for loan in nlargest(_MOST_LEASES, loans, key=_held)],
        "all_leases": len(loans),
        "waiters": [(request.holder, request.priority, now - request.since) for request in waiters],
        "breaker": tenant.pool.breaker,
        "retry_in": max(0.0, tenant.pool.breaker.retry_at - now),
        "above": above(tenant, now),
        "trials": trials(tenant),
    }


def _held(loan: Loan) -> float:
    return loan.held


def tenant_row(look: Look, name: str, counsel: Counsel) -> Values:
    """The tenant in the list of all; ``stats`` is None if nobody has asked for it."""
    seat = look.seat(name)
    if seat is None:
        spec = look.source.manager.roster.tenant(name)
        return {
            "name": name,
            "tier": spec.limits.tier,
            "cap": spec.limits.cap,
            "suspended": spec.suspended,
            "stats": None,
        }
    shell, tenant = seat
    stats, verdict = _judged(look, shell, tenant, counsel)
    return {
        "name": name,
        "tier": stats.tier,
        "cap": stats.cap,
        "suspended": tenant.suspended,
        "stats": stats,
        "load": load_of(shell.core, tenant, monotonic()),
        "verdict": verdict,
    }


def why_of(look: Look, name: str, counsel: Counsel) -> str:
    """How the tenant does, with a remedy unless there is advice; empty: nobody asked for it."""
    seat = look.seat(name)
    if seat is None:
        return ""
    _, verdict = _judged(look, *seat, counsel)
    return verdict.figures if counsel.of(name) else verdict.why


def _judged(
    look: Look, shell: AsyncShell, tenant: Tenant, counsel: Counsel
) -> tuple[TenantStats, Verdict]:
    name, stats = tenant.name, tenant_stats(shell.core, tenant)
    recent = look.source.manager.recorder.of(monotonic(), shell, tenant)
    measured = [recent] if recent is not None else []
    health = assess(ManagerStats({}, {name: stats}), measured, advice=counsel.of(name))
    return stats, health.tenants[name]


# -- what is in force ------------------------------------------------------------------------------


def above(tenant: Tenant, now: float) -> str:
    """What it has above a limit that was lowered, and what becomes of it; empty: nothing."""
    shrink = tenant.shrink
    if not tenant.over:
        return ""
    limit = "is suspended" if tenant.suspended else f"may have {tenant.ceiling} now"
    found = f"{plural(tenant.over, 'lease')} too many: the tenant {limit}."
    if shrink is None:
        return found
    asked = plural(len(shrink.outstanding), "lease")
    if shrink.how == RETURN:
        return f"{found} They end when their holders give them back."
    if shrink.how == RECALL or shrink.due == inf:
        return f"{found} {asked} asked back, none will be ended."
    ends = duration(max(0.0, shrink.due - now))
    return f"{found} {asked} asked back; what is not given back in {ends} is ended."


def trials(tenant: Tenant) -> list[tuple[str, int]]:
    """What its limits on trial let pass, and how often; those that hit nobody, too."""
    counts = tenant.counters.would_refuse
    if not tenant.limits.trial and not counts:
        return []
    return [(words, counts[reason]) for reason, words in _TRIALS.items() if counts[reason]]


def override_row(look: Look, override: Override) -> OverrideRow:
    """What the override changes, and what would hold without it."""
    if override.tier is not None:
        what = f"tier {override.tier}"
    else:
        what = "suspended" if override.suspended else "not suspended"
    was = without(look.source.manager.roster, override)
    return OverrideRow(
        override.tenant,
        what,
        f"tier {was}" if override.tier is not None and was else was,
        override.author,
        override.reason,
        override.made_at,
        override.until,
        override.id,
    )


def _scaling(look: Look, name: str) -> Values:
    scaling = look.source.manager.scaling
    changes: list[Scaled] = [change for change in scaling.changes if change.tenant == name]
    return {"changes": changes[:_MOST_CHANGES], "is_left_alone": name in scaling.left_alone}


# -- what was found --------------------------------------------------------------------------------


async def _findings(look: Look, name: str) -> Values:
    """What its statements and leases told."""
    found = await gathered(look, name)
    return {"shown": found[:_MOST_FINDINGS], "total": len(found)}
