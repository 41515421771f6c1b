"""``tenantpool demo``: many tenants in several processes, few connections, a real PostgreSQL."""

from __future__ import annotations

import os
from typing import Annotated

import typer


def demo(
    seconds: Annotated[
        float,
        typer.Option(envvar="DEMO_SECONDS", min=6, help="How long the tenants work, in seconds."),
    ] = 15.0,
) -> None:
    """Let tenants of three tiers fight for 20 connections, and show who gets what.

    Starts a private PostgreSQL (extra: embedded), a lease service and worker processes, and removes
    everything afterwards. Meanwhile a tenant is saturated, a worker is killed, a breaker opens and
    closes, a lease leaks, an N+1 is found and a tier is changed. Ctrl-C ends it early.

    Exit code 0 if all that must hold did hold, else 1; the last line says which.
    """
    # Its processes are started, not forked: gRPC need not look after forks, and does so aloud.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    import psycopg

    from tenantpool.cli.demo.play import play
    from tenantpool.errors import TenantpoolError

    try:
        all_held = play(seconds)
    except (TenantpoolError, psycopg.Error, OSError) as error:
        typer.echo(f"demo: failed: {error}")
        raise typer.Exit(1) from None
    if not all_held:
        raise typer.Exit(1)
