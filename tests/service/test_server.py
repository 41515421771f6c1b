"""The whole service in this process: what follows when its configuration changes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantpool.config.overrides import Override, Overrides
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import ConfigError, ConfigErrors
from tenantpool.service.override_store import OverrideStore
from tenantpool.service.reload import FILE, Origin
from tenantpool.service.server import Server
from tenantpool.service.source import Source
from tests.support.servers import on_latest
from tests.support.wait import wait_until_async

pytestmark = on_latest

WORKER = {"token": "a-token-of-the-worker", "tenants": ["*"]}


class House:
    """A file, and the services that are started with it."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres, dbname: str) -> None:
        self.folder = folder
        self.path = folder / "t.yaml"
        self.sections: dict[str, Any] = {
            "databases": {"main": {"conninfo": postgres.dsn(), "capacity": 5}},
            "tiers": {"basic": {"min_size": 0, "cap": 2}, "big": {"min_size": 0, "cap": 4}},
            "tenants": {"acme": {"dbname": dbname}},
            "template": {"enabled": False},
        }

    def write(self, service: dict[str, Any] | None = None, **sections: Any) -> None:
        ours = {
            "folder": str(self.folder / "run"),
            "state": str(self.folder / "state"),
            "listen": [],
            "gateway_port": 0,
        }
        whole = {**self.sections, **sections, "service": {**ours, **(service or {})}}
        self.path.write_text(yaml.safe_dump(whole))

    def server(self) -> Server:
        source = Source(self.path)
        return Server(source.load(), source)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Server]:
        server = self.server()
        await server.start()
        try:
            yield server
        finally:
            await server.stop(0.0)


@pytest.fixture
def house(
    tmp_path: Path, postgres: EmbeddedPostgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> House:
    monkeypatch.delenv("TENANTPOOL_CONFIG", raising=False)
    house = House(tmp_path, postgres, database)
    house.write()
    return house


async def reload(server: Server) -> tuple[str, ...]:
    return (await server.reloader.reload(Origin("call"))).changes


async def test_every_part_follows_the_new_rules(house: House) -> None:
    async with house.serve() as server:
        house.write(
            {
                "lease_ttl": 7,
                "lease_ttl_max": 70,
                "session_ttl": 8,
                "recall_quiet": 0.5,
                "drain_grace": 0.1,
                "max_sessions": 9,
                "startup_timeout": 3,
                "max_startups": 11,
                "identities": {"worker": WORKER},
            }
        )
        await reload(server)
        rules = server.settings.service
        assert server.desk.rules is rules
        assert (rules.lease_ttl, rules.drain_grace) == (7, 0.1)
        assert server.guard.on_unix(None, "a-token-of-the-worker").name == "worker"
        assert (server.rpc._calls.most, server.rpc._streams.most) == (9, 9)
        gateway = server.gateway._rules
        assert (gateway.startup_timeout, gateway.max_startups) == (3, 11)
        assert (server.desk.ledger._tenures.limits.ttl_max, server.desk._parking.quiet) == (70, 0.5)


async def test_it_sees_its_file_change_by_itself(house: House) -> None:
    async with house.serve() as server:
        house.write({"lease_ttl": 7})
        await wait_until_async(lambda: server.settings.service.lease_ttl == 7)
        assert server.reloader.latest is not None
        assert server.reloader.latest.origin == Origin(FILE)


async def test_a_socket_that_was_open_to_others_needs_a_restart_to_be_private(
    house: House,
) -> None:
    house.write({"identities": {"worker": WORKER}})
    async with house.serve() as server:
        house.write()
        with pytest.raises(ConfigErrors, match=r"grpc.sock is open to all: needs a restart"):
            await reload(server)
        assert server.guard.on_unix(None, "a-token-of-the-worker").name == "worker"


async def test_overrides_that_ended_while_it_was_down_are_not_in_force(house: House) -> None:
    now = time.time()
    over = Override("acme", "big", None, now - 1, "ops", "", now - 60, "aaaaaa")
    lasting = Override("acme", None, True, now + 60, "ops", "wild", now - 60, "bbbbbb")
    store = OverrideStore(house.folder / "state", "tenantpool")
    store.save(Overrides([over, lasting]))
    store.release()
    async with house.serve() as server:
        spec = server.manager.roster.tenant("acme")
        assert spec.limits.tier == "basic"
        assert "wild" in spec.suspended


async def test_the_overrides_of_a_service_that_runs_are_not_anothers(house: House) -> None:
    async with house.serve() as server:
        server._store.save(Overrides.NONE)
        house.write({"folder": str(house.folder / "run2")})
        other = house.server()
        with pytest.raises(ConfigError, match="belongs to another service that runs"):
            await other.start()


async def test_damaged_overrides_stop_it_before_anything_is_opened(house: House) -> None:
    path = house.folder / "state" / "tenantpool.overrides.json"
    path.parent.mkdir()
    path.write_text(json.dumps([{"tenant": "acme"}]))
    with pytest.raises(ConfigError, match="does not hold overrides"):
        house.server()


async def test_an_override_to_a_tier_that_goes_is_named(house: House) -> None:
    now = time.time()
    store = OverrideStore(house.folder / "state", "tenantpool")
    store.save(Overrides([Override("acme", "big", None, None, "ops", "", now, "aaaaaa")]))
    store.release()
    async with house.serve() as server:
        tiers = {"basic": house.sections["tiers"]["basic"]}
        house.write(tiers=tiers)
        changes = await reload(server)
        assert "acme: override aaaaaa by ops does nothing, there is no tier big" in changes
