# Generated from ../_async/test_network.py by tools/generate_sync.py: do not edit.
"""A network that breaks or falls silent in the middle of things."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest

from tenantpool import Settings
from tenantpool.embedded import HOST, EmbeddedPostgres
from tenantpool.errors import BreakerOpen, LeaseEnded
from tests.manager._sync.helpers import Background, OpenManager, wait_until
from tests.manager.support import make_settings
from tests.stress._sync.use import lease_every_slot, refusal, success, visit
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


def test_cut_off_in_the_middle_of_a_statement(
    open_manager: OpenManager, settings: Settings, network: Severer, postgres: EmbeddedPostgres
):
    manager = open_manager(settings)
    running = Background(visit, manager, "acme", "select pg_sleep(60) /* severed */")
    wait_until(lambda: statements(postgres, "severed"))

    network.sever()
    with pytest.raises(psycopg.OperationalError):
        running.result()
    error = refusal(manager, "acme", BreakerOpen)
    assert isinstance(error.__cause__, psycopg.OperationalError)

    network.heal()
    success(manager, "acme")
    lease_every_slot(manager, "acme")


def test_cut_off_while_idle(open_manager: OpenManager, settings: Settings, network: Severer):
    manager = open_manager(settings)
    lease_every_slot(manager, "acme")

    network.sever()
    network.heal()
    visit(manager, "acme")
    lease_every_slot(manager, "acme")


def test_silence_in_the_middle_of_a_connect(
    open_manager: OpenManager, settings: Settings, network: Severer
):
    manager = open_manager(settings)
    core = manager._shells["main"].core

    network.pause()
    waiter = Background(visit, manager, "acme")
    wait_until(lambda: core.leaving, what="the end of the connect")
    assert core.used <= CAPACITY, "a slot whose backend may still start is not free"

    network.heal()
    waiter.result()
    wait_until(lambda: is_at_rest(core))
    lease_every_slot(manager, "acme")


def test_silence_in_the_middle_of_a_return(
    open_manager: OpenManager, settings: Settings, network: Severer
):
    manager = open_manager(settings)
    core = manager._shells["main"].core

    def fall_silent() -> None:
        with manager.connection("acme") as conn:
            conn.execute("select 1")
            network.pause()
            silent.append(True)

    silent: list[bool] = []
    returning = Background(fall_silent)
    wait_until(lambda: silent and manager.leases()[0].link is None, what="the commit")
    manager.revoke(manager.leases()[0])
    assert core.used == 1

    network.heal()
    with suppress(psycopg.Error, LeaseEnded):  # the commit may have been faster
        returning.result()
    wait_until(lambda: is_at_rest(core))
    lease_every_slot(manager, "acme")


def statements(server: EmbeddedPostgres, mark: str) -> list[tuple[int]]:
    """The backends that run a statement with *mark* in it."""
    query = "select pid from pg_stat_activity where state = 'active' and query like %s"
    return server.execute(query, [f"%/* {mark} */%"])
