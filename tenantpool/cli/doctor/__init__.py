"""``tenantpool doctor``: is everything as it should be, and if not, what is to be done?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenantpool.cli.connection import (
    Admin,
    CaOption,
    CertOption,
    KeyOption,
    TargetOption,
    TokenFileOption,
    find_target,
)
from tenantpool.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from tenantpool.cli.doctor.check import Check
    from tenantpool.config import Settings

EXAMPLES = """
[bold]Examples[/bold]

[cyan]tenantpool doctor --config config/tenantpool.yaml[/cyan] - before the first start

[cyan]tenantpool doctor --json | jq '.checks[] | select(.finding != "ok")'[/cyan] - for scripts

[bold]Exit codes[/bold]: 0 all is well, 4 a warning, 5 a problem, 2 the configuration or the usage \
is wrong, 1 it failed.
"""

_DEFAULT = Path("config/tenantpool.yaml")
_WRONG = 2
_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="TENANTPOOL_CONFIG",
            help=f"The YAML file (default: {_DEFAULT}, if it is there).",
            show_default=False,
        ),
    ] = None,
    secrets_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="TENANTPOOL_SECRETS_DIR",
            help="Folder with a file per secret, such as databases__main__password.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    target: TargetOption = "",
    token_file: TokenFileOption = None,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Check the configuration, the databases, this host and the service, and say what to do.

    Changes nothing. Opens one connection to each database, one after the other, beside those of a
    service that runs. Best run as the service's user, on its host.
    """
    from tenantpool.cli.doctor.check import CODES, Finding

    try:
        settings = _load(config, secrets_dir)
    except ConfigError as error:
        _print(list(_mistakes(error)), as_json)
        raise typer.Exit(_WRONG) from None
    place = find_target(target or _own(settings), token_file, tls_ca, tls_cert, tls_key)
    found = list(_examine(settings, Admin(place), is_expected=bool(target)))
    _print(found, as_json)
    worst = max((check.finding for check in found), key=list(Finding).index)
    raise typer.Exit(CODES[worst])


def _load(config: Path | None, secrets_dir: Path | None) -> Settings:
    from tenantpool.config import Settings

    if config is None and _DEFAULT.exists():
        config = _DEFAULT
    return Settings.load(config, secrets_dir=secrets_dir)


def _own(settings: Settings) -> str:
    """Where a service with these settings would be; empty: where its default is."""
    from tenantpool.cli.doctor.host import folder_of

    folder, rules = folder_of(settings), settings.service
    if folder is not None:
        return f"unix:{folder}"
    return f"{rules.listen[0]}:{rules.grpc_port}" if rules.listen else ""


def _mistakes(error: ConfigError) -> Iterator[Check]:
    from tenantpool.cli.doctor.check import problem

    for each in error.errors if isinstance(error, ConfigErrors) else (error,):
        yield problem("configuration", f"{each.place}: {each.problem}", each.fix)


def _examine(settings: Settings, admin: Admin, *, is_expected: bool) -> Iterator[Check]:
    from tenantpool.cli.doctor.check import ok
    from tenantpool.cli.doctor.database import Examination
    from tenantpool.cli.doctor.host import examine_host
    from tenantpool.cli.doctor.service import examine_service

    databases, tenants = len(settings.databases), len(settings.tenants)
    yield ok("configuration", f"is right: {databases} databases, {tenants} listed tenants")
    examinations = [Examination(settings, name) for name in settings.databases]
    for examination in examinations:
        yield from examination.checks()
    yield from examine_host(settings, sum(each.capacity for each in examinations))
    yield from examine_service(admin, is_expected=is_expected)


def _print(checks: list[Check], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _show(checks)


def _show(checks: Iterable[Check]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=120, no_color=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column("Check", overflow="fold")
    table.add_column("Found", ratio=1)
    for check in checks:
        found = Text(check.seen)
        if check.remedy:
            found.append(f"\n→ {check.remedy}", "bold")
        finding = Text(check.finding.value, style=_STYLES[check.finding.value])
        table.add_row(finding, Text(check.subject), found)
    console.print(table)
