"""``tenantpool exec``: run any program under a lease."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING, Annotated

import typer

from tenantpool.cli.connection import (
    CaOption,
    CertOption,
    KeyOption,
    TargetOption,
    TokenFileOption,
    find_target,
)

if TYPE_CHECKING:
    from tenantpool.client import AsyncLeaseClient
    from tenantpool.client.target import Target

_NO_LEASE, _CANNOT_RUN, _NOT_FOUND = 125, 126, 127
"""Exit codes that are not the program's, as those of env(1)."""

_SIGNALLED = 128

_LONGEST_ABSENCE = 3.0
"""Seconds to wait for a service that is not there: it may be about to restart."""

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
_FROM_KEYBOARD = {signal.SIGINT, signal.SIGQUIT}

_MISLEADING = {
    *("PGSERVICE", "PGHOSTADDR", "PGPASSFILE", "PGREQUIREPEER", "PGREQUIREAUTH", "PGREQUIRESSL"),
    *("PGCHANNELBINDING", "PGSSLNEGOTIATION", "PGTARGETSESSIONATTRS", "PGLOADBALANCEHOSTS"),
}
"""Variables of libpq that would lead it elsewhere, or make it ask for what is not there."""


def execute(
    tenant: Annotated[str, typer.Argument(help="Whose connections the program gets.")],
    command: Annotated[
        list[str], typer.Argument(help="The program and its arguments, best after --.")
    ],
    target: TargetOption = "",
    token_file: TokenFileOption = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Seconds to wait for the lease (default: as the tenant's tier says)."
        ),
    ] = None,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Run a program that connects as TENANT, and give the lease back when it has ended.

    The program finds PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE in its environment, and may
    open several connections: each takes a lease of its own. They end with the program.

    Exit code: that of the program, 128 + n if signal n killed it; 125 if there was no lease, 126
    if the program cannot be run, 127 if it was not found.
    """
    from tenantpool.errors import TenantpoolError

    place = find_target(target, token_file, tls_ca, tls_cert, tls_key)

    async def run() -> int:
        leases = _client(place, program=Path(command[0]).name)
        return await _Execution(command).run(leases, tenant, timeout)

    try:
        code = asyncio.run(run())
    except TenantpoolError as error:
        code = _complain(str(error), _NO_LEASE)
    raise typer.Exit(code)


def _client(place: Target, program: str) -> AsyncLeaseClient:
    from tenantpool.client import AsyncLeaseClient

    return AsyncLeaseClient(
        place.name,
        token=place.token,
        tls=place.tls,
        delivery="gateway",
        worker=f"{gethostname()[:24]} exec {program[:20]} {os.getpid()}",
    )


class _Execution:
    """A program under a lease, and the signals that come meanwhile."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: asyncio.Task[int] | None = None
        self._told = 0

    async def run(self, leases: AsyncLeaseClient, tenant: str, timeout: float | None) -> int:
        """The exit code. Raises a TenantpoolError if there is no lease."""
        loop = asyncio.get_running_loop()
        for number in _FORWARDED:
            loop.add_signal_handler(number, self._hear, number)
        async with leases:
            self._waiting = loop.create_task(self._start(leases, tenant, timeout))
            await asyncio.wait({self._waiting})
            if self._waiting.cancelled():
                return _SIGNALLED + self._told
            code = self._waiting.result()
            if self._process is not None:
                code = await self._process.wait()
        return code if code >= 0 else _SIGNALLED - code

    async def _start(self, leases: AsyncLeaseClient, tenant: str, timeout: float | None) -> int:
        """Start the program with a lease. Return the exit code if it cannot be started."""
        await leases.open(_LONGEST_ABSENCE)
        variables = await leases.environment(tenant, timeout=timeout)
        known = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
        program, *words = self._command
        try:
            self._process = await asyncio.create_subprocess_exec(
                program, *words, env={**known, **variables}
            )
        except FileNotFoundError:
            return _complain(f"{program}: there is no such program", _NOT_FOUND)
        except OSError as error:
            return _complain(f"{program}: {error.strerror}", _CANNOT_RUN)
        return 0

    def _hear(self, number: signal.Signals) -> None:
        """Pass the signal on to the program, or stop waiting for its lease."""
        if self._process is None:
            self._told = number
            assert self._waiting is not None
            self._waiting.cancel()
        elif number not in _FROM_KEYBOARD or not _has_keyboard():
            with suppress(ProcessLookupError):
                self._process.send_signal(number)


def _has_keyboard() -> bool:
    """Whether the terminal sends what is typed to this process, and to the program by itself."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def _complain(problem: str, code: int) -> int:
    """Say what is wrong, a line for each; return *code*."""
    for line in problem.splitlines():
        typer.echo(f"tenantpool exec: {line}", err=True)
    return code
