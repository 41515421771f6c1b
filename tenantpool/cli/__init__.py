"""The command line. One file per command; what is heavy is imported by the command that needs it.

Exit codes: 0 it worked, 1 it failed, 2 the usage or the configuration is wrong. ``serve``,
``exec`` and ``plan`` have some more; ``status`` and ``doctor`` end with 4 for a warning and 5 if it
is critical.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tenantpool.cli import (
    check,
    demo,
    doctor,
    findings,
    overrides,
    plan,
    scaling,
    serve,
    size,
    status,
    top,
)
from tenantpool.cli import exec as exec_
from tenantpool.errors import ConfigError, TenantpoolError

__all__ = ["app", "main"]

OK, FAILED, WRONG = 0, 1, 2

_EPILOG = """
[bold]Examples[/bold]

[cyan]tenantpool check-config config/tenantpool.yaml[/cyan] - is it right?

[cyan]tenantpool size disks --cores 8 --spindles 1[/cyan] - how many are enough?

[cyan]tenantpool serve --config config/tenantpool.yaml[/cyan] - lend to other processes

[cyan]tenantpool exec acme -- psql[/cyan] - run a program under a lease

[cyan]tenantpool tier acme enterprise --until +2h[/cyan] - more for a tenant, for a time

[cyan]tenantpool top[/cyan] - who holds what, who waits, and why

[cyan]tenantpool doctor --config config/tenantpool.yaml[/cyan] - what is wrong, and what to do

[cyan]tenantpool --install-completion[/cyan] - complete commands in this shell

[bold]Exit codes[/bold]: 0 it worked, 1 it failed, 2 wrong usage or configuration.
"""

app = typer.Typer(
    name="tenantpool",
    help="A PostgreSQL connection manager for many tenants under one hard limit per database.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they may hold passwords
)
# To add a command: a file beside this one, and a line here.
app.command("check-config")(check.check_config)
app.command("demo")(demo.demo)
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("exec")(exec_.execute)
app.command("findings", epilog=findings.EXAMPLES)(findings.findings)
app.add_typer(overrides.app, name="overrides")
app.command("plan", epilog=plan.PLAN_EXAMPLES)(plan.plan)
app.command("reload", epilog=plan.RELOAD_EXAMPLES)(plan.reload)
app.add_typer(scaling.app, name="scaling")
app.command("serve")(serve.serve)
app.add_typer(size.app, name="size")
app.command("status", epilog=status.EXAMPLES)(status.status)
app.command("suspend", epilog=overrides.SUSPEND_EXAMPLES)(overrides.suspend)
app.command("tier", epilog=overrides.TIER_EXAMPLES)(overrides.tier)
app.command("top", epilog=top.EXAMPLES)(top.top)
app.command("unsuspend", epilog=overrides.SUSPEND_EXAMPLES)(overrides.unsuspend)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tenantpool {_version()}")
        raise typer.Exit


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tenantpool")
    except PackageNotFoundError:
        return "(not installed)"


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line and exit; expected errors are one line each on stderr."""
    try:
        app(prog_name="tenantpool")
    except ConfigError as error:
        _fail(error, WRONG)
    except TenantpoolError as error:
        _fail(error, FAILED)


def _fail(error: TenantpoolError, code: int) -> None:
    for line in str(error).splitlines():
        typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
        typer.echo(line, err=True)
    sys.exit(code)
