"""A network that breaks or falls silent in the middle of things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from tenantpool import Settings
from tenantpool.embedded import HOST, EmbeddedPostgres
from tenantpool.errors import BreakerOpen, LeaseEnded
from tests.manager._async.helpers import Background, OpenManager, wait_until
from tests.manager.support import make_settings
from tests.stress._async.use import lease_every_slot, refusal, success, visit
from tests.stress.crowd import is_at_rest
from tests.support.servers import on_latest
from tests.support.severer import Severer

pytestmark = on_latest

CAPACITY = 3


@pytest.fixture
def network(postgres: EmbeddedPostgres) -> Iterator[Severer]:
    with Severer(postgres.port) as severer:
        yield severer


@pytest.fixture
def settings(postgres: EmbeddedPostgres, database: str, network: Severer) -> Settings:
    """One tenant, on the other side of the network."""
    conninfo = postgres.dsn(host=HOST, port=network.port, connect_timeout=2)
    return make_settings(
        postgres,
        {"acme": {"dbname": database}},
        conninfo=conninfo,
        capacity=CAPACITY,
        check_after=0,
        close_timeout=0.2,
    )


async def test_cut_off_in_the_middle_of_a_statement(
    open_manager: OpenManager, settings: Settings, network: Severer, postgres: EmbeddedPostgres
):
    manager = await open_manager(settings)
    running = Background(visit, manager, "acme", "select pg_sleep(60) /* severed */")
    await wait_until(lambda: statements(postgres, "severed"))

    network.sever()
    with pytest.raises(psycopg.OperationalError):
        await running.result()
    error = await refusal(manager, "acme", BreakerOpen)
    assert isinstance(error.__cause__, psycopg.OperationalError)

    network.heal()
    await success(manager, "acme")
    await lease_every_slot(manager, "acme")


async def test_cut_off_while_idle(open_manager: OpenManager, settings: Settings, network: Severer):
    manager = await open_manager(settings)
    await lease_every_slot(manager, "acme")

    network.sever()
    network.heal()
    await visit(manager, "acme")
    await lease_every_slot(manager, "acme")


async def test_silence_in_the_middle_of_a_connect(
    open_manager: OpenManager, settings: Settings, network: Severer
):
    manager = await open_manager(settings)
    core = manager._shells["main"].core

    network.pause()
    waiter = Background(visit, manager, "acme")
    await wait_until(lambda: core.leaving, what="the end of the connect")
    assert core.used <= CAPACITY, "a slot whose backend may still start is not free"

    network.heal()
    await waiter.result()
    await wait_until(lambda: is_at_rest(core))
    await lease_every_slot(manager, "acme")


async def test_silence_in_the_middle_of_a_return(
    open_manager: OpenManager, settings: Settings, network: Severer
):
    manager = await open_manager(settings)
    core = manager._shells["main"].core

    async def fall_silent() -> None:
        async with manager.connection("acme") as conn:
            await conn.execute("select 1")
            network.pause()
            silent.append(True)

    silent: list[bool] = []
    returning = Background(fall_silent)
    await wait_until(lambda: silent and manager.leases()[0].link is None, what="the commit")
    manager.revoke(manager.leases()[0])
    assert core.used == 1

    network.heal()
    with suppress(psycopg.Error, LeaseEnded):  # the commit may have been faster
        await returning.result()
    await wait_until(lambda: is_at_rest(core))
    await lease_every_slot(manager, "acme")


def statements(server: EmbeddedPostgres, mark: str) -> list[tuple[int]]:
    """The backends that run a statement with *mark* in it."""
    query = "select pid from pg_stat_activity where state = 'active' and query like %s"
    return server.execute(query, [f"%/* {mark} */%"])
