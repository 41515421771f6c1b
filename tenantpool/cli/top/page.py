"""What the page of one tenant looks like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tenantpool.cli.health import STYLES
from tenantpool.cli.status import seconds
from tenantpool.cli.tables import line_of
from tenantpool.cli.top.feed import Page
from tenantpool.observe.figures import duration
from tenantpool.v1.admin_service_pb2 import GetTenantResponse, LeaseState, Tenant, Waiter

_BAR = 30


def page_of(name: str, page: Page | None) -> RenderableType:
    """The page of the tenant *name*; None: there is no such tenant any more."""
    if page is None:
        return Text(f"{name}: there is no such tenant (any more)", style="bold")
    tenant = page.tenant.tenant
    more = " or more" if page.more else ""
    return Group(
        _title(tenant),
        _facts(page.tenant),
        Text(f"\nLeases held by workers ({len(page.leases)}{more})", style="bold"),
        _leases(page.leases),
        Text(f"\nWaiters ({tenant.waiting})", style="bold"),
        _waiters(page.tenant.waiters),
    )


def _title(tenant: Tenant) -> Text:
    text = Text.assemble((tenant.name, "bold"), f"  tier {tenant.tier}, database {tenant.database}")
    if tenant.draining:
        text.append("  draining", STYLES["warning"])
    if tenant.status:
        text.append("\n")
        text.append(f"{tenant.status}: ", STYLES.get(tenant.status, ""))
        text.append(tenant.advice)
    return text


def _facts(page: GetTenantResponse) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, value in _lines(page):
        facts.add_row(name, Text(value))
    return facts


def _lines(page: GetTenantResponse) -> Iterator[tuple[str, str]]:
    tenant, limits = page.tenant, page.limits
    filled = min(_BAR, round(_BAR * tenant.in_use / max(1, tenant.cap)))
    overflow = f" (overflow {limits.overflow} more)" if limits.overflow else ""
    bar = "█" * filled + "·" * (_BAR - filled)
    yield "In use", f"{bar}  {tenant.in_use} of cap {tenant.cap}{overflow}"
    pool = f"{tenant.pool}: {tenant.pool_size} open, {tenant.pool_idle} idle"
    yield "Pool", pool if tenant.pool else "none yet: it was not asked for"
    yield "Waits", _waits(tenant)
    yield "Leases", f"{tenant.leases:,} so far; {_refusals(tenant)}"
    yield "Breaker", _breaker(page)
    rate = f"{limits.rate:g} per second" if limits.rate else "none"
    longest = duration(seconds(limits.max_lease)) if limits.HasField("max_lease") else "none"
    yield (
        "Limits",
        f"guarantee {tenant.guarantee}, weight {tenant.weight:g}, min_size {limits.min_size}, "
        f"max_waiting {limits.max_waiting}, rate {rate}, max_lease {longest}, acquire_timeout "
        f"{duration(seconds(limits.acquire_timeout))}, max_idle "
        f"{duration(seconds(limits.max_idle))}, max_lifetime "
        f"{duration(seconds(limits.max_lifetime))}",
    )


def _waits(tenant: Tenant) -> str:
    mean, p99 = duration(seconds(tenant.wait_mean)), duration(seconds(tenant.wait_p99))
    words = f"{mean} on average, 99 % up to {p99}; {tenant.waiting} waiting now"
    longest = duration(seconds(tenant.oldest_wait))
    return f"{words}, the first for {longest}" if tenant.waiting else words


def _refusals(tenant: Tenant) -> str:
    by_reason = sorted(tenant.refused.items(), key=lambda item: -item[1])
    found = ", ".join(f"{reason} {count:,}" for reason, count in by_reason)
    return f"refused: {found}" if found else "none refused"


def _breaker(page: GetTenantResponse) -> str:
    breaker = page.breaker
    words = breaker.state
    if breaker.error:
        words += f": {breaker.error}"
    if breaker.HasField("retry_in"):
        words += f" (next connect in {duration(seconds(breaker.retry_in))})"
    return words


def _leases(leases: Iterable[LeaseState]) -> Table:
    table = table_of("Held", "Expires in", "Backend", "Way", "Holder", "Lease")
    for lease in leases:
        table.add_row(
            duration(seconds(lease.held)),
            duration(seconds(lease.expires_in)),
            str(lease.backend_pid or "-"),
            lease.delivery or "-",
            Text(line_of(lease.holder)),
            Text(lease.lease_id),
        )
    return table


def _waiters(waiters: Iterable[Waiter]) -> Table:
    table = table_of("Waited", "Priority", "Who")
    for waiter in waiters:
        holder = Text(line_of(waiter.holder))
        table.add_row(duration(seconds(waiter.waited)), str(waiter.priority), holder)
    return table


def table_of(*heads: str) -> Table:
    """Without rows yet."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table
