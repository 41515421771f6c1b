"""``tenantpool status``: how does the service do? For people, and for scripts."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenantpool.cli.connection import Admin, administers
from tenantpool.cli.health import CODES

if TYPE_CHECKING:
    from tenantpool.v1.admin_service_pb2 import Alert, DatabaseState, Tenant, WatchResponse

FIRING = "firing"
"""The state of an alert on the wire."""

EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool status[/cyan] - health, alerts, databases and the busiest tenants

[cyan]tenantpool status --json | jq .databases[].waiting[/cyan] - for scripts

[cyan]tenantpool status --json | jq '.alerts[] | select(.state == "firing")'[/cyan] - what fires

[bold]Exit codes[/bold]: 0 healthy, 4 warning, 5 critical, 1 the service cannot be reached or \
asked, 2 wrong usage.
"""


@administers
def status(
    admin: Admin,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; times are in seconds.")
    ] = False,
    tenants: Annotated[
        int, typer.Option(min=1, max=1000, help="How many tenants to show, the busiest first.")
    ] = 10,
) -> None:
    """Show how the service does: health, alerts, databases, the busiest tenants.

    The exit code is that of the databases' health. One tenant's trouble is not everybody's: it
    stands in its line. An alert says what has been so for a while; it does not change the code.
    """
    state = read(admin, tenants)
    if as_json:
        typer.echo(json.dumps(as_dict(state, admin.target.name), indent=2))
    else:
        show(state, admin.target.name)
    raise typer.Exit(CODES.get(state.status, 0))


def read(admin: Admin, most: int, order: str = "", contains: str = "") -> WatchResponse:
    """The state of now. Blocks. Raises TenantpoolError."""
    from tenantpool.errors import ServiceUnavailable
    from tenantpool.v1.admin_service_pb2 import WatchRequest

    request = WatchRequest(order_by=order, contains=contains, page_size=most)
    with admin.connect() as line:
        for state in line.watch(request):
            return state
    raise ServiceUnavailable("the service has ended the stream")


# -- for people --------------------------------------------------------------------------------


def show(state: WatchResponse, target: str) -> None:
    """Print *state*."""
    from tenantpool.cli.tables import print_table
    from tenantpool.observe.figures import plural

    typer.echo(f"{state.status}: {state.summary}")
    typer.echo(
        f"tenantpool {state.version} at {target}: {plural(state.sessions, 'session')}, "
        f"{plural(state.leases, 'lease')} in use"
    )
    for alert in state.alerts:
        typer.echo(alert_line(alert))
    print_table(
        ("Database", "Capacity", "Used", "In use", "Idle", "Waiting", "Breaker", "Health"),
        [_database_row(database) for database in state.databases],
    )
    if not state.tenants:
        typer.echo("no tenant holds a connection or waits for one")
        return
    heads = ("Tenant", "Tier", "In use", "Cap", "Waiting", "Mean wait", "Leases", "Refused")
    print_table((*heads, "Health"), [_tenant_row(tenant) for tenant in state.tenants])
    if state.tenants_found > len(state.tenants):
        typer.echo(f"and {state.tenants_found - len(state.tenants):,} more")


def alert_line(alert: Alert) -> str:
    """An alert in a line: how bad it is, whether it fires yet, since when, and what is so."""
    at = alert.fired_at if alert.HasField("fired_at") else alert.found_at
    since = datetime.fromtimestamp(at.seconds).astimezone()
    return f"{alert.severity} alert {alert.name} {alert.state} since {since:%H:%M}: {alert.summary}"


def _database_row(database: DatabaseState) -> tuple[object, ...]:
    slots = database.slots
    health = f"{database.status}: {database.advice}"
    figures = (database.capacity, database.used, slots["in use"], slots["idle"], database.waiting)
    return (database.name, *figures, database.breaker, health)


def _tenant_row(tenant: Tenant) -> tuple[object, ...]:
    from tenantpool.observe.figures import duration

    refused = sum(tenant.refused.values())
    figures = (tenant.in_use, tenant.cap, tenant.waiting)
    wait = duration(seconds(tenant.wait_mean))
    health = f"{tenant.status}: {tenant.advice}"
    return (tenant.name, tenant.tier, *figures, wait, tenant.leases, refused, health)


# -- for scripts -------------------------------------------------------------------------------


def as_dict(state: WatchResponse, target: str) -> dict[str, Any]:
    """What scripts read. Fields are added, never changed."""
    return {
        "status": state.status,
        "summary": state.summary,
        "version": state.version,
        "target": target,
        "sessions": state.sessions,
        "leases": state.leases,
        "alerts": [_alert_dict(alert) for alert in state.alerts],
        "databases": [_database_dict(database) for database in state.databases],
        "tenants": [_tenant_dict(tenant) for tenant in state.tenants],
        "tenants_found": state.tenants_found,
    }


def _alert_dict(alert: Alert) -> dict[str, Any]:
    fired = alert.HasField("fired_at")
    return {
        "name": alert.name,
        "labels": dict(alert.labels),
        "severity": alert.severity,
        "state": alert.state,
        "value": alert.value,
        "summary": alert.summary,
        "description": alert.description,
        "found_at": alert.found_at.ToJsonString(),
        "fired_at": alert.fired_at.ToJsonString() if fired else None,
    }


def _database_dict(database: DatabaseState) -> dict[str, Any]:
    return {
        "name": database.name,
        "capacity": database.capacity,
        "used": database.used,
        "slots": dict(database.slots),
        "waiting": database.waiting,
        "breaker": database.breaker,
        "leases": database.leases,
        "refused": dict(database.refused),
        "status": database.status,
        "advice": database.advice,
    }


def _tenant_dict(tenant: Tenant) -> dict[str, Any]:
    return {
        "name": tenant.name,
        "tier": tenant.tier,
        "database": tenant.database,
        "pool": tenant.pool,
        "cap": tenant.cap,
        "guarantee": tenant.guarantee,
        "weight": tenant.weight,
        "in_use": tenant.in_use,
        "waiting": tenant.waiting,
        "oldest_wait": seconds(tenant.oldest_wait),
        "wait_mean": seconds(tenant.wait_mean),
        "wait_p99": seconds(tenant.wait_p99),
        "leases": tenant.leases,
        "refused": dict(tenant.refused),
        "breaker": tenant.breaker,
        "draining": tenant.draining,
        "status": tenant.status,
        "advice": tenant.advice,
    }


def seconds(duration: Any) -> float:
    """A duration of the wire; 0.0 for one that is absent."""
    return float(duration.seconds + duration.nanos / 1e9)
