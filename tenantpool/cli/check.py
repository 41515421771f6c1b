"""``tenantpool check-config``: is the configuration right, and what is in force?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from tenantpool.config import Settings

_DEFAULT = Path("config/tenantpool.yaml")


def check_config(
    file: Annotated[
        Path, typer.Argument(envvar="TENANTPOOL_CONFIG", help="The YAML file.")
    ] = _DEFAULT,
    secrets_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="TENANTPOOL_SECRETS_DIR",
            help="Folder with a file per secret, such as databases__main__password.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Check the configuration and print what is in force, passwords hidden.

    Reads the file, the secrets folder and the environment (TENANTPOOL_...).

    Connects to nothing. Exit code 0 if all is right, else 2 and one line per mistake.
    """
    from tenantpool.config import Settings

    settings = Settings.load(file, secrets_dir=secrets_dir)
    if not quiet:
        _print(settings)


def _print(settings: Settings) -> None:
    from rich.console import Console

    from tenantpool.config import effective_yaml

    console = Console()
    text = effective_yaml(settings)
    if console.is_terminal:
        from rich.syntax import Syntax

        console.print(Syntax(text, "yaml", background_color="default"))
        _print_summary(console, settings)
        return
    # Into a file or a pipe: the whole stays YAML, with the summary as comments.
    typer.echo(text)
    plain = Console(width=98, no_color=True)
    with plain.capture() as captured:
        _print_summary(plain, settings)
    for line in captured.get().splitlines():
        typer.echo(f"# {line}".rstrip())


def _print_summary(console: Console, settings: Settings) -> None:
    console.print(_tiers(settings))
    console.print(_databases(settings))


def _tiers(settings: Settings) -> Table:
    listed = [tenant.tier or settings.default_tier for tenant in settings.tenants.values()]
    table = _table("Tier", "Min", "Cap", "Overflow", "Guarantee", "Weight", "Listed tenants")
    for name, tier in settings.tiers.items():
        numbers = (tier.min_size, tier.cap, tier.overflow, tier.guarantee)
        table.add_row(name, *map(str, numbers), f"{tier.weight:g}", str(listed.count(name)))
    return table


def _databases(settings: Settings) -> Table:
    from tenantpool.config.resolve import database_of

    table = _table("Database", "Capacity", "Listed tenants", "Sum of guarantees", "Sum of caps")
    tenants = settings.tenants.values()
    for name, database in settings.databases.items():
        here = [
            settings.tiers[tenant.tier or settings.default_tier]
            for tenant in tenants
            if database_of(settings, tenant) == name
        ]
        sums = (len(here), sum(t.guarantee for t in here), sum(t.cap for t in here))
        table.add_row(name, str(database.capacity), *map(str, sums))
    return table


def _table(name: str, *columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE)
    table.add_column(name, style="bold")
    for column in columns:
        table.add_column(column, justify="right")
    return table
