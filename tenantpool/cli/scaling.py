"""``tenantpool scaling``: what auto-scaling has done, and its undoing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tenantpool.cli.connection import Admin, administers

if TYPE_CHECKING:
    from tenantpool.v1.admin_service_pb2 import CapChange, GetScalingResponse

EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool scaling[/cyan] - whose cap was changed, when, and why

[cyan]tenantpool scaling undo acme[/cyan] - the cap of its tier again, and no more changes

[cyan]tenantpool scaling resume acme[/cyan] - let it follow its use again
"""

TenantName = Annotated[str, typer.Argument(help="Whose cap it is.")]

app = typer.Typer(rich_markup_mode="rich", epilog=EXAMPLES)


@app.callback(invoke_without_command=True)
@administers
def scaling(
    admin: Admin,
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Only what concerns this tenant.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show the caps that auto-scaling has changed, the newest first, or undo it for a tenant.

    Only tiers with `autoscale` scale. The last hundred changes since the service's start are shown.

    Exit code 0, or 1 if the service cannot be reached.
    """
    if context.invoked_subcommand is not None:
        return
    from tenantpool.v1.admin_service_pb2 import GetScalingRequest

    found = admin.call("GetScaling", GetScalingRequest(tenant=tenant))
    if as_json:
        typer.echo(json.dumps(_plain(found), indent=2))
    else:
        _show(found)


@app.command()
@administers
def undo(admin: Admin, tenant: TenantName) -> None:
    """Give a tenant the cap of its tier again, and leave it alone from now on.

    That lasts until `tenantpool scaling resume`, or a restart of the service. What is in use above
    the cap is taken back as the tier's `shrink` says.

    Exit code 0 if that is done, 1 if there is no such tenant or the service cannot be reached.
    """
    from tenantpool.v1.admin_service_pb2 import UndoScalingRequest

    cap = admin.call("UndoScaling", UndoScalingRequest(tenant=tenant)).cap
    typer.echo(f"{tenant}: cap {cap}, as its tier has it; auto-scaling leaves it alone")


@app.command()
@administers
def resume(admin: Admin, tenant: TenantName) -> None:
    """Let a tenant's cap follow its use again, after `tenantpool scaling undo`.

    Exit code 0 if that is done, 1 if there is no such tenant or the service cannot be reached.
    """
    from tenantpool.v1.admin_service_pb2 import ResumeScalingRequest

    admin.call("ResumeScaling", ResumeScalingRequest(tenant=tenant))
    typer.echo(f"{tenant}: its cap follows its use again, where its tier has autoscale")


def _show(found: GetScalingResponse) -> None:
    if found.changes:
        _print(found.changes)
    else:
        typer.echo("auto-scaling has changed nothing")
    if found.left_alone:
        typer.echo(f"left alone: {', '.join(found.left_alone)}")


def _print(changes: Iterable[CapChange]) -> None:
    from tenantpool.cli.tables import print_table

    heads = ("When", "Tenant", "Tier", "Was", "Is", "In use")
    rows = [
        (_when(c), c.tenant, c.tier, c.cap_before, c.cap_after, f"{c.utilisation:.0%} of it")
        for c in changes
    ]
    print_table(heads, rows)


def _when(change: CapChange) -> str:
    """By this host's clock."""
    return f"{datetime.fromtimestamp(change.made_at.seconds).astimezone():%Y-%m-%d %H:%M:%S}"


def _plain(found: GetScalingResponse) -> dict[str, object]:
    changes = [
        {
            "at": change.made_at.ToJsonString(),
            "tenant": change.tenant,
            "tier": change.tier,
            "cap_before": change.cap_before,
            "cap_after": change.cap_after,
            "utilisation": change.utilisation,
        }
        for change in found.changes
    ]
    return {"changes": changes, "left_alone": list(found.left_alone)}
