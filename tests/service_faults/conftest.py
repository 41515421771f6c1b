"""Fixtures: a server without a connection to spare, the service, its workers, and who watches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.service_faults.house import TOKEN, House
from tests.service_faults.puppet import Puppet
from tests.stress.crowd import (
    CAPACITY,
    REFUSED_BY_THE_SERVER,
    RESERVED,
    WATCHERS,
    WORKER,
    Operator,
    prepare,
)
from tests.support.sampler import Sampler
from tests.support.servers import LATEST

OpenPuppet = Callable[..., Puppet]

_OURS = """
    select coalesce(json_agg(pid), '[]') from pg_stat_activity
    where application_name ~ '^tenantpool/' and application_name !~ 'attendant$'
"""


_FACTS = "array[pid::text, datname, application_name, state, query, backend_start::text]"


class Clerk(Operator):
    """A superuser in the database of ``own_0``, in which the workers write."""

    def _connect(self) -> psycopg.Connection[Any]:
        dsn = self._server.dsn("own_0", application_name="clerk")
        return psycopg.connect(dsn, autocommit=True)

    def pids(self) -> set[int]:
        """The service's backends, without the attendant's."""
        return set(self.ask(_OURS))

    def alive(self, pids: set[int]) -> set[int]:
        """Those of *pids* that are still there, whatever they call themselves."""
        query = "select coalesce(json_agg(pid), '[]') from pg_stat_activity where pid = any (%s)"
        return set(self.ask(query, list(pids)))

    def backends_now(self) -> list[Any]:
        """What there is to be said of them."""
        return list(self.ask(_OURS.replace("json_agg(pid)", f"json_agg({_FACTS})")))

    def written(self, word: str) -> int:
        """How many rows with *word* are in the ledger."""
        return int(self.ask("select count(*) from ledger where word = %s", word))


@pytest.fixture(scope="package")
def server() -> Iterator[EmbeddedPostgres]:
    """A server that lets in the capacity of the service and the watchers, and nobody else."""
    settings = {"max_connections": str(CAPACITY + RESERVED + WATCHERS)}
    with EmbeddedPostgres(version=LATEST, settings=settings) as server:
        prepare(server)
        server.execute("create table ledger (word text)", dbname="own_0")
        server.execute(f"grant all on ledger to {WORKER}", dbname="own_0")
        yield server
        server.stop("immediate")


@pytest.fixture(scope="package")
def one_house(server: EmbeddedPostgres) -> Iterator[House]:
    """The service, started once: after each test it must be as new."""
    with tempfile.TemporaryDirectory(prefix="tp-") as folder, House(Path(folder), server) as house:
        yield house


@pytest.fixture
def clerk(server: EmbeddedPostgres) -> Iterator[Clerk]:
    """Sees and does everything in the server."""
    server.start()
    with Clerk(server) as clerk:
        yield clerk


@contextmanager
def watched(house: House, server: EmbeddedPostgres, clerk: Clerk) -> Iterator[House]:
    """*house* at work: the limit is kept, and afterwards nothing is left or lost."""
    before = server.log.stat().st_size
    with Sampler(server.dsn(), tolerant=True) as sampler:
        house.start()
        yield house
        house.start()
        house.check(clerk.backends_now)
    assert sampler.most <= CAPACITY + 1, "one of them is the clerk's"
    with server.log.open(errors="replace") as log:
        log.seek(before)
        assert not [line for line in log if any(words in line for words in REFUSED_BY_THE_SERVER)]


@pytest.fixture
def house(one_house: House, server: EmbeddedPostgres, clerk: Clerk) -> Iterator[House]:
    """The service, watched."""
    with watched(one_house, server, clerk):
        yield one_house


@pytest.fixture
def puppets(house: House) -> Iterator[OpenPuppet]:
    """``puppets(...)`` starts a worker of the service, which is killed with the test."""
    with ExitStack() as stack:

        def open_one(target: str = house.unix, **options: Any) -> Puppet:
            return stack.enter_context(Puppet(target, **{"token": TOKEN, **options}))

        yield open_one
