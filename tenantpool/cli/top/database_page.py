"""What the page of one database looks like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tenantpool.cli.health import STYLES
from tenantpool.cli.status import seconds
from tenantpool.cli.tables import line_of
from tenantpool.cli.top.inquiry import Told
from tenantpool.cli.top.page import table_of
from tenantpool.observe.figures import duration, plural
from tenantpool.v1.admin_service_pb2 import (
    Backend,
    DatabaseState,
    GetActivityResponse,
    StateCount,
    TenantActivity,
)

_BAR = 30
_MOST_TENANTS = 12
_HIDDEN = "Some states are hidden from the service's login: grant it pg_read_all_stats."


def bar_of(database: DatabaseState) -> Text:
    """How full a database is, in a line."""
    capacity = max(1, database.capacity)
    in_use = round(_BAR * database.slots["in use"] / capacity)
    used = max(in_use, round(_BAR * database.used / capacity))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{database.name}  ", "bold")
    text.append("█" * in_use, STYLES.get(database.status, ""))
    text.append("▒" * (used - in_use) + "·" * (_BAR - used))
    text.append(
        f"  {database.slots['in use']} in use, {database.used} open of {database.capacity}, "
        f"{database.waiting} waiting"
    )
    if database.breaker != "closed":
        text.append(f"  breaker {database.breaker}", STYLES["critical"])
    return text


def database_page(name: str, state: DatabaseState | None, told: Told) -> RenderableType:
    """The page of the database *name*; None: there is no such database any more."""
    if state is None:
        return Text(f"{name}: there is no such database (any more)", style="bold")
    return Group(bar_of(state), *_health(state), Text(), *_said(name, told))


def _health(state: DatabaseState) -> Iterator[Text]:
    yield Text.assemble((f"{state.status}: ", STYLES.get(state.status, "")), state.advice)
    refused = sum(state.refused.values())
    yield Text(f"{plural(state.leases, 'lease')} so far, {refused:,} refused")


def _said(name: str, told: Told) -> Iterator[RenderableType]:
    """What PostgreSQL says, as far as it was asked about this one."""
    is_mine = told.topic is not None and told.topic.database == name
    activity = told.activity if is_mine else None
    problem = told.problem if is_mine else ""
    if activity is not None and not problem:
        problem = activity.problem
    if problem:
        yield Text(f"What PostgreSQL says is not known: {line_of(problem)}", STYLES["critical"])
    elif activity is None:
        yield Text("asking its server ...", "dim")
    if activity is not None and not activity.problem:
        yield from _activity(activity)


def _activity(activity: GetActivityResponse) -> Iterator[RenderableType]:
    yield Text("Connections by state", style="bold")
    yield _states(activity.states)
    yield Text("\nLent connections by tenant", style="bold")
    yield _tenants(activity.tenants) if activity.tenants else Text("no connection is lent", "dim")
    if len(activity.tenants) > _MOST_TENANTS:
        yield Text(f"and {len(activity.tenants) - _MOST_TENANTS:,} more", "dim")
    if activity.hidden:
        yield Text(_HIDDEN, "dim")
    yield Text("\nLongest under way", style="bold")
    yield _longest(activity.longest) if activity.longest else Text("nothing is under way", "dim")


def _states(states: Iterable[StateCount]) -> Table:
    table = table_of("State", "Ours", "Others")
    ours = others = 0
    for count in states:
        table.add_row(count.state, f"{count.ours:,}", f"{count.others:,}")
        ours, others = ours + count.ours, others + count.others
    table.add_row("all", f"{ours:,}", f"{others:,}", style="bold")
    return table


def _tenants(tenants: Iterable[TenantActivity]) -> Table:
    table = table_of("Tenant", "Connections", "States")
    for tenant in list(tenants)[:_MOST_TENANTS]:
        states = ", ".join(f"{count} {state}" for state, count in sorted(tenant.states.items()))
        table.add_row(Text(tenant.tenant), f"{sum(tenant.states.values()):,}", states)
    return table


def _longest(backends: Iterable[Backend]) -> Table:
    table = table_of("For", "Tenant", "State", "Waits for", "Backend", "Statement")
    for backend in backends:
        table.add_row(
            duration(seconds(backend.age)),
            Text(backend.tenant or f"({backend.dbname})"),
            backend.state,
            backend.waits_for or "-",
            str(backend.pid),
            Text(line_of(backend.statement)),
        )
    return table
