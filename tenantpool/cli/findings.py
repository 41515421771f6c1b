"""``tenantpool findings``: what query insight has found. For people, and for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tenantpool.cli.connection import Admin, administers
from tenantpool.cli.tables import line_of

if TYPE_CHECKING:
    from tenantpool.v1.admin_service_pb2 import FindingState

NOTHING: Final = (
    "nothing was found; workers look with LeaseClient(..., insight=Insight()), the service with "
    "insight: {enabled: true} in its configuration"
)

_MOST_TENANTS = 3

EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool findings[/cyan] - the latest of all tenants

[cyan]tenantpool findings --tenant acme --sort longest[/cyan] - what took this one longest

[cyan]tenantpool findings --json | jq '.findings[] | select(.kind == "N+1").place'[/cyan] - where
"""


class Ranking(StrEnum):
    """Which findings come first; the service sorts, so it is among all of them."""

    LATEST = "latest"
    TIMES = "times"
    LONGEST = "longest"
    KIND = "kind"
    TENANT = "tenant"


@administers
def findings(
    admin: Admin,
    tenant: Annotated[str, typer.Option(help="Only those of tenants that begin so.")] = "",
    contains: Annotated[
        str,
        typer.Option(
            "--filter",
            help="Only those with this in a tenant's name or in the place.",
            metavar="TEXT",
        ),
    ] = "",
    sort: Annotated[Ranking, typer.Option(help="Which findings come first.")] = Ranking.LATEST,
    most: Annotated[int, typer.Option(min=1, max=1000, help="How many to show.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; times are in seconds.")
    ] = False,
) -> None:
    """Show what query insight has found: slow statements, N+1, plans, long leases.

    What differs in nothing but the tenant is one finding. No value of a statement is shown.

    Exit code 0, or 1 if the service cannot be reached.
    """
    from tenantpool.v1.admin_service_pb2 import ListFindingsRequest

    request = ListFindingsRequest(
        prefix=tenant, contains=contains, order_by=sort.value, page_size=most
    )
    found = admin.call("ListFindings", request)
    if as_json:
        rows = [_plain(finding) for finding in found.findings]
        typer.echo(json.dumps({"findings": rows, "findings_found": found.findings_found}, indent=2))
        return
    for finding in found.findings:
        typer.echo(f"{finding.kind}: {headline(finding)} ({figures(finding)})")
        for name, words in details(finding):
            typer.echo(f"    {name} {words}")
    if not found.findings:
        typer.echo("no finding is like that" if tenant or contains else NOTHING)
    elif found.findings_found > len(found.findings):
        typer.echo(f"and {found.findings_found - len(found.findings):,} more")


# -- for people --------------------------------------------------------------------------------


def headline(finding: FindingState) -> str:
    """Whose it is, and what."""
    shown = finding.tenants[:_MOST_TENANTS]
    others = finding.tenants_found - len(shown)
    more = f" and {others:,} more" if others else ""
    return f"{', '.join(shown)}{more}: {line_of(finding.what)}"


def figures(finding: FindingState) -> str:
    """How often it was found, and when."""
    at = datetime.fromtimestamp(finding.found_at.seconds).astimezone()
    times = "once" if finding.times == 1 else f"{finding.times:,} times"
    return f"{times}, last {at:%Y-%m-%d %H:%M:%S}"


def details(finding: FindingState) -> Iterator[tuple[str, str]]:
    """What else there is to say of it, line by line, each with its name."""
    lines = {"statement": finding.statement, "at": finding.place, "fix": finding.fix}
    yield from ((name, line_of(words)) for name, words in lines.items() if words)


# -- for scripts -------------------------------------------------------------------------------


def _plain(finding: FindingState) -> dict[str, Any]:
    from tenantpool.cli.status import seconds

    return {
        "id": finding.finding_id,
        "kind": finding.kind,
        "tenants": list(finding.tenants),
        "tenants_found": finding.tenants_found,
        "what": finding.what,
        "fix": finding.fix,
        "statement": finding.statement,
        "place": finding.place,
        "seconds": seconds(finding.duration),
        "count": finding.count,
        "times": finding.times,
        "found_at": finding.found_at.ToJsonString(),
        "worker": finding.worker,
    }
