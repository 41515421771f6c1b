"""A service that was told of no database gets one: a PostgreSQL that lives as long as it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from tenantpool.config import Settings
from tenantpool.config.layers import read_layers
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.service.source import Source

_TENANTS = {"acme": "enterprise", "globex": "pro", "initech": "basic"}
"""Tenants of a service that was told of none either, and their tiers."""

_NOWHERE = "host=/nowhere"


@contextmanager
def provided_source(config: Path | None, secrets_dir: Path | None) -> Iterator[Source]:
    """Where the settings are, with a database of our own if they know none. Blocks while it starts.

    Raises ConfigError, before anything is started, and EmbeddedError.
    """
    written = read_layers(Settings, config, secrets_dir, None, {}).merged()
    if written.get("databases"):
        yield Source(config, secrets_dir)
        return
    more = {} if written.get("tenants") else _own_tenants()

    def source(conninfo: str) -> Source:
        return Source(config, secrets_dir, databases={"embedded": {"conninfo": conninfo}}, **more)

    source(_NOWHERE).load()
    with EmbeddedPostgres() as server:
        provided = source(server.dsn())
        dbnames = _dbnames(provided.load())
        for dbname in dbnames:
            server.create_database(dbname)
        typer.echo("no database is configured: a PostgreSQL of our own was started")
        typer.echo(f"  it has the databases {', '.join(dbnames)}, and its data ends with it")
        yield provided


def _own_tenants() -> dict[str, Any]:
    tenants = {name: {"tier": tier, "dbname": name} for name, tier in _TENANTS.items()}
    return {"tenants": tenants, "template": {"enabled": False}}


def _dbnames(settings: Settings) -> list[str]:
    """Where the listed tenants live, apart from the database that is always there."""
    found = {settings.tenant(name).pool.dbname: None for name in settings.tenants}
    return [name for name in found if name and name != "postgres"]
