"""``tenantpool plan`` and ``tenantpool reload``: change the configuration of a running service."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenantpool.cli.connection import Admin, administers
from tenantpool.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from tenantpool.config.plan import Plan

CHANGES, RESTARTS = 4, 5
"""Exit codes of a plan: there is something to change; some of it needs a restart."""

PLAN_EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool plan new.yaml[/cyan] - what would change in the service that runs

[cyan]tenantpool plan[/cyan] - the same for the file that it was started with, as it is now

[cyan]tenantpool plan new.yaml --against config/tenantpool.yaml[/cyan] - without a service

[bold]Exit codes[/bold]: 0 nothing changes, 4 something does, 5 some of it needs a restart, \
2 the configuration is wrong, 1 it failed otherwise.
"""

RELOAD_EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool reload[/cyan] - read the file again and apply it

[cyan]tenantpool reload --expect 1f0c...[/cyan] - only if nobody has changed it since the plan

[bold]Exit codes[/bold]: 0 it is in force, 2 the configuration is wrong and the one before stays \
in force, 1 it failed otherwise.
"""


@administers
def plan(
    admin: Admin,
    file: Annotated[
        Path | None,
        typer.Argument(help="The YAML file (default: the service's own).", show_default=False),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Compare FILE with this one, without a service.")
    ] = None,
    secrets_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="TENANTPOOL_SECRETS_DIR",
            help="Folder with a file per secret, for --against; a service has its own.",
        ),
    ] = None,
) -> None:
    """Show what a configuration would change, and change nothing.

    Against a running service it also says how many connections would have to go, and who would
    have been refused in the last hour. Secrets and the environment are those of the service.
    """
    if against is None:
        code = _plan_online(admin, file)
    elif file is not None:
        code = _plan_offline(file, against, secrets_dir)
    else:
        raise typer.BadParameter("--against needs a FILE to compare with")
    raise typer.Exit(code)


@administers
def reload(
    admin: Admin,
    expect: Annotated[
        str, typer.Option(help="Digest that must be in force, as plan shows it.", metavar="DIGEST")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
) -> None:
    """Let the service read its configuration again, and apply it as a whole or not at all."""
    from tenantpool.v1.admin_service_pb2 import ReloadConfigRequest

    request = ReloadConfigRequest(expected_digest=expect, dry_run=dry_run)
    answer = admin.call("ReloadConfig", request)
    for change in answer.changes:
        typer.echo(change)
    if not answer.changes:
        typer.echo("nothing changes" if dry_run else "nothing has changed")


# -- with a service ----------------------------------------------------------------------------


def _plan_online(admin: Admin, file: Path | None) -> int:
    from tenantpool.v1.admin_service_pb2 import PlanConfigRequest

    try:
        answer = admin.call("PlanConfig", PlanConfigRequest(yaml=_text(file)))
    except ConfigError as error:
        raise _renamed(error, file) from None
    restarts = [_line(mistake) for mistake in answer.restarts]
    code = _show([change.text for change in answer.changes if change.live], restarts)
    if answer.impacts:
        _show_impacts(answer.impacts)
    if code == CHANGES:
        typer.echo(f"\nin force is {answer.digest}")
        if file is None:
            typer.echo(f"apply it:   tenantpool reload --expect {answer.digest}")
    return code


def _text(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(file), f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(file), "is not UTF-8 text") from None


def _renamed(error: ConfigError, file: Path | None) -> ConfigError:
    """The service knows the file as ``yaml``: its lines are those of *file*."""
    if file is None:
        return error
    every = error.errors if isinstance(error, ConfigErrors) else (error,)
    named = [
        ConfigError(f"{file}{e.place.removeprefix('yaml')}", e.problem, e.fix)
        if e.place.startswith("yaml")
        else e
        for e in every
    ]
    return ConfigErrors(named)


def _line(mistake: Any) -> str:
    return str(ConfigError(mistake.place, mistake.problem, mistake.fix))


def _show_impacts(impacts: Iterable[Any]) -> None:
    """Whom new limits hit, or would have."""
    from tenantpool.cli.tables import print_table

    rows = [
        (
            impact.tenant or f"(all of {impact.database})",
            impact.above,
            impact.requests,
            impact.over_cap,
            impact.over_queue,
            impact.over_rate,
        )
        for impact in impacts
    ]
    typer.echo("\nunder the new limits, counted over the last hour:")
    heads = ("Tenant", "To go", "Requests", "Waiting for cap", "Queue full", "Over rate")
    print_table(heads, rows)


# -- without -----------------------------------------------------------------------------------


def _plan_offline(file: Path, against: Path, secrets_dir: Path | None) -> int:
    from tenantpool.config import Settings
    from tenantpool.config.plan import plan as compare
    from tenantpool.config.roster import Roster

    old = Settings.load(against, secrets_dir=secrets_dir)
    new = Settings.load(file, secrets_dir=secrets_dir)
    found: Plan = compare(Roster(old), Roster(new), old.tenants.keys() | new.tenants.keys())
    restarts = [str(refusal) for refusal in found.refusals]
    return _show([change.text for change in found.changes if change.live], restarts)


def _show(changes: list[str], restarts: list[str]) -> int:
    """Print what changes; return the exit code."""
    for line in (*changes, *restarts):
        typer.echo(line)
    if restarts:
        typer.echo(
            f"\n{len(restarts)} of {len(changes) + len(restarts)} need a restart: "
            "together they cannot be applied to a service that runs"
        )
        return RESTARTS
    if changes:
        return CHANGES
    typer.echo("nothing changes")
    return 0
