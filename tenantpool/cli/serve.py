"""``tenantpool serve``: lend connections to other processes."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantpool.config import Settings
    from tenantpool.service.server import Server

_CUT = 3
"""Exit code: some leases were not given back in time, and their sessions were ended."""

_TENANTS = {"acme": "enterprise", "globex": "pro", "initech": "basic"}
"""Tenants of a service that was told of no database."""


def serve(
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", envvar="TENANTPOOL_CONFIG", help="The YAML file."),
    ] = None,
    secrets_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="TENANTPOOL_SECRETS_DIR",
            help="Folder with a file per secret, such as databases__main__password.",
        ),
    ] = None,
) -> None:
    """Lend tenant connections over gRPC and through the PostgreSQL gateway, until told to stop.

    With no database configured it starts a PostgreSQL of its own, with the tenants acme, globex
    and initech, and says so.

    SIGTERM and SIGINT end it: workers are told, and have drain_grace seconds to give back what
    they hold; a second signal ends it at once. Exit code 0 if everything was given back, 3 if
    leases had to be cut, 2 if the configuration is wrong.
    """
    with _settings(config, secrets_dir) as settings:
        raise typer.Exit(_run(settings, config))


@contextmanager
def _settings(config: Path | None, secrets_dir: Path | None) -> Iterator[Settings]:
    """The settings, with a database of our own if they know none."""
    from tenantpool.config import Settings
    from tenantpool.errors import ConfigError, ConfigErrors

    try:
        settings = Settings.load(config, secrets_dir=secrets_dir)
    except ConfigError as error:
        if isinstance(error, ConfigErrors) or not error.place.endswith(": databases"):
            raise
    else:
        yield settings
        return
    from tenantpool.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        for tenant in _TENANTS:
            server.create_database(tenant)
        typer.echo("no database is configured: a PostgreSQL of our own was started", err=True)
        typer.echo(f"  its tenants: {', '.join(_TENANTS)}; its data ends with it", err=True)
        yield Settings.load(
            config,
            secrets_dir=secrets_dir,
            databases={"embedded": {"conninfo": server.dsn()}},
            tenants={n: {"tier": tier, "dbname": n} for n, tier in _TENANTS.items()},
            template={"enabled": False},
        )


def _run(settings: Settings, config: Path | None) -> int:
    import logging

    import uvloop

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    return uvloop.run(_serve(settings, config))


async def _serve(settings: Settings, config: Path | None) -> int:
    from tenantpool.service.server import Server

    server = Server(settings, config)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await server.start()
    _say_where(server)
    await told.wait()
    told.clear()
    typer.echo("stopping: waiting for leases to come back", err=True)
    stopping = asyncio.create_task(server.stop())
    again = asyncio.create_task(told.wait())
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not stopping.done():
        server.desk.hurry()
    late = await stopping
    if late:
        typer.echo(f"{late} leases were not given back in time, their sessions ended", err=True)
    return _CUT if late else 0


def _say_where(server: Server) -> None:
    for line in server.addresses():
        typer.echo(line, err=True)
