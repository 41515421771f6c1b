"""Temporary changes of one tenant: ``tier``, ``suspend``, ``unsuspend`` and ``overrides``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenantpool.cli.connection import Admin, administers
from tenantpool.cli.moments import in_words, parse_end

if TYPE_CHECKING:
    from tenantpool.v1.admin_service_pb2 import Override

TIER_EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool tier acme enterprise --until +2h --reason "their launch"[/cyan]

[cyan]tenantpool tier acme basic --until 2026-11-21T18:00Z[/cyan]
"""

SUSPEND_EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool suspend acme --reason "runs wild" --until +30m[/cyan]

[cyan]tenantpool unsuspend acme[/cyan]
"""

OVERRIDES_EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool overrides[/cyan] - who has set what, and until when

[cyan]tenantpool overrides drop 3f9a1c[/cyan] - undo one before its end
"""

TenantName = Annotated[str, typer.Argument(help="Whom it is about.")]
Until = Annotated[
    str,
    typer.Option(
        help="When it is undone: +2h, +30m, 2026-11-21T18:00Z (default: when it is dropped).",
        metavar="WHEN",
        show_default=False,
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for those who find it later.", show_default=False)]

app = typer.Typer(rich_markup_mode="rich", epilog=OVERRIDES_EXAMPLES)


@administers
def tier(
    admin: Admin,
    tenant: TenantName,
    tier: Annotated[str, typer.Argument(help="The tier that it gets.")],
    until: Until = "",
    reason: Reason = "",
) -> None:
    """Give a tenant another tier for a time, whatever the configuration says.

    It takes the place of an earlier one, survives a restart of the service, and is undone at its
    end, or by `tenantpool overrides drop`.

    Exit code 0 if it is in force, 1 if it is refused or the service cannot be reached.
    """
    _set(admin, until, tenant=tenant, tier=tier, reason=reason)


@administers
def suspend(admin: Admin, tenant: TenantName, until: Until = "", reason: Reason = "") -> None:
    """Refuse a tenant's requests, and want its leases back as its tier says.

    Exit code 0 if it is in force, 1 if it is refused or the service cannot be reached.
    """
    _set(admin, until, tenant=tenant, suspended=True, reason=reason)


@administers
def unsuspend(admin: Admin, tenant: TenantName, until: Until = "", reason: Reason = "") -> None:
    """End a suspension, also one that the configuration or the catalog says.

    Exit code 0 if it is in force, 1 if it is refused or the service cannot be reached.
    """
    _set(admin, until, tenant=tenant, suspended=False, reason=reason)


def _set(admin: Admin, until: str, **wish: Any) -> None:
    from tenantpool.v1.admin_service_pb2 import SetOverrideRequest

    request = SetOverrideRequest(**wish)
    if until:
        end = parse_end(until)
        if isinstance(end, datetime):
            request.until.FromDatetime(end)
        else:
            request.lasts.FromTimedelta(end)
    answer = admin.call("SetOverride", request)
    _say(answer.changes)
    if answer.HasField("override"):
        made = answer.override
        end_in_words = _end(made)
        typer.echo(f"override {made.override_id}, {end_in_words or 'until it is dropped'}")


@app.callback(invoke_without_command=True)
@administers
def overrides(
    admin: Admin,
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Only those of this tenant.")] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array, for scripts.")
    ] = False,
) -> None:
    """Show the temporary changes that are in force, or drop one.

    Exit code 0, or 1 if the service cannot be reached.
    """
    if context.invoked_subcommand is not None:
        return
    from tenantpool.v1.admin_service_pb2 import ListOverridesRequest

    found = admin.call("ListOverrides", ListOverridesRequest(tenant=tenant)).overrides
    if as_json:
        typer.echo(json.dumps([_plain(override) for override in found], indent=2))
    elif found:
        _print(found)
    else:
        typer.echo("no overrides")


@app.command()
@administers
def drop(
    admin: Admin,
    override: Annotated[str, typer.Argument(help="Its id, as `tenantpool overrides` shows it.")],
) -> None:
    """Undo an override before its end.

    Exit code 0 if that is done, 1 if there is none (any more) or the service cannot be reached.
    """
    from tenantpool.v1.admin_service_pb2 import RemoveOverrideRequest

    _say(admin.call("RemoveOverride", RemoveOverrideRequest(override_id=override)).changes)


def _say(changes: Iterable[str]) -> None:
    lines = list(changes)
    for line in lines or ["nothing has changed"]:
        typer.echo(line)


def _print(found: Iterable[Override]) -> None:
    from tenantpool.cli.tables import print_table

    heads = ("Id", "Tenant", "Was", "Is", "Until", "By", "Reason")
    rows = [
        (o.override_id, o.tenant, o.was or "-", _change(o), _end(o) or "-", o.author, o.reason)
        for o in found
    ]
    print_table(heads, rows)


def _change(override: Override) -> str:
    if override.WhichOneof("change") == "tier":
        return override.tier
    return "suspended" if override.suspended else "not suspended"


def _end(override: Override) -> str:
    """When it ends, by this host's clock, and how long that is; empty: not by itself."""
    if not override.HasField("until"):
        return ""
    at = datetime.fromtimestamp(override.until.seconds).astimezone()
    left = override.ends_in.ToMilliseconds() / 1000
    return f"{at:%Y-%m-%d %H:%M} (in {in_words(left)})"


def _plain(override: Override) -> dict[str, object]:
    until = override.until.ToJsonString() if override.HasField("until") else None
    return {
        "id": override.override_id,
        "tenant": override.tenant,
        "was": override.was,
        "is": _change(override),
        "until": until,
        "author": override.author,
        "reason": override.reason,
        "made_at": override.made_at.ToJsonString(),
    }
