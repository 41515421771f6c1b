"""``tenantpool serve``: lend connections to other processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenantpool.cli.garbage import Garbage
from tenantpool.cli.logs import LogFormat

if TYPE_CHECKING:
    from tenantpool.service.server import Server
    from tenantpool.service.source import Source

_CUT = 3
"""Exit code: some leases were not given back in time, and their sessions were ended."""


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
    log_format: Annotated[
        LogFormat, typer.Option(help="What the log on stderr is written for: people or programs.")
    ] = LogFormat.TEXT,
) -> None:
    """Lend connections to other processes, over gRPC and to any PostgreSQL driver.

    With no database configured it starts a PostgreSQL of its own (extra: embedded), with a
    database for each tenant, and says so.

    SIGTERM and SIGINT end it: workers are told, and have drain_grace seconds to give back what
    they hold; a second signal cuts that short.

    When the file or a secret changes, and at SIGHUP, it reads the configuration again and applies
    it as a whole, or keeps the one before and says in the log what is wrong.

    Exit code 0 if everything was given back, 3 if leases had to be cut, 2 if the configuration is
    wrong, 1 if it failed otherwise.
    """
    # What gRPC writes by itself is no record of our log; what it means for us, is.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Its listener hands each message from thread to thread, which costs more than our answer; the
    # one it had before does not. A version without that one ignores this.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")
    from tenantpool.cli.logs import start_logging
    from tenantpool.cli.provision import provided_source

    start_logging(log_format)
    with provided_source(config, secrets_dir) as source:
        late = _run(source)
    if late:
        typer.echo(f"leases that did not come back in time, and were cut: {late}")
        raise typer.Exit(_CUT)


def _run(source: Source) -> int:
    import uvloop

    try:
        return uvloop.run(_serve(source))
    finally:
        # What is left to do is short: ending a PostgreSQL of our own must not be cut short.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


async def _serve(source: Source) -> int:
    from tenantpool.service.server import Server

    return await _Running(Server(source.load(), source)).run()


class _Running:
    """A service from its start to its end, as signals say."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._told = asyncio.Event()
        self._hung_up = asyncio.Event()

    async def run(self) -> int:
        """Serve until told to stop. Return how many leases were not given back in time.

        Raises ConfigError if an address cannot be had.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        if not await self._start():
            return 0
        _say_where(self._server)
        beside = [asyncio.create_task(work) for work in (self._reload(), Garbage().run())]
        await self._told.wait()
        for task in beside:
            task.cancel()
        grace = self._server.settings.service.drain_grace
        typer.echo(f"stopping: leases have {grace:g} s to come back; again ends them at once")
        return await self._server.stop()

    async def _start(self) -> bool:
        """Return whether it has started, and not been told to stop before that."""
        starting = asyncio.create_task(self._server.start())
        stopping = asyncio.create_task(self._told.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()  # it leaves nothing open
            await asyncio.wait({starting})
            return False
        stopping.cancel()
        await starting
        return True

    def _stop(self) -> None:
        if self._told.is_set():
            self._server.hurry()
        self._told.set()

    async def _reload(self) -> None:
        """At each SIGHUP; those that come meanwhile are one."""
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            await self._server.reload("SIGHUP")


def _say_where(server: Server) -> None:
    """Where it listens, and a line to try it with."""
    targets = server.targets
    tenant = next(iter(server.settings.tenants), "TENANT")
    where = [f"{address.host or '*'} port {address.port}" for address in server.gateways]
    option = "" if server.is_at_default_folder else f"--target {targets[0]} "
    typer.echo(f"leases:   {', '.join(targets)}")
    typer.echo(f"gateway:  {', '.join(where)}")
    if server.http is not None and server.http.addresses:
        typer.echo(f"dashboard: {', '.join(server.http.addresses)}")
    typer.echo(f"try:      tenantpool exec {option}{tenant} -- psql")
    typer.echo("ready")
