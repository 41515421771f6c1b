"""Fixtures of all tests: PostgreSQL 16 and 18, empty databases, and nothing left behind."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import hypothesis
import pytest

from tenantpool.embedded import EmbeddedPostgres
from tests.support.leaks import Snapshot, tasks_left_behind
from tests.support.memory import keep_files_in_memory
from tests.support.sampler import Sampler
from tests.support.servers import Servers, wanted_versions

# The tests start processes while gRPC is at work, and gRPC's handlers of forks may crash the child.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

# A shell lets what it starts in the background ignore this, and so would all that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

keep_files_in_memory()

# Examples are not timed: the machine may be busy. A failure prints how to run it again.
hypothesis.settings.register_profile("tests", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tests")


@pytest.fixture(autouse=True)
def no_leaks() -> Iterator[None]:
    """Fail a test after which a thread, an open file or a socket is left.

    It comes before all other fixtures of a test, so it looks after all of them are gone.
    """
    before = Snapshot.take()
    yield
    if left := before.left_behind():
        pytest.fail("left behind: " + "; ".join(left))


@pytest.fixture(autouse=True)
def no_tasks_left(request: pytest.FixtureRequest, no_leaks: None) -> None:
    """Fail an async test after which a task is left; a sync test gets no event loop for this."""
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("_no_tasks_left")


@pytest.fixture
async def _no_tasks_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    if left := await tasks_left_behind(before):
        pytest.fail("left behind: " + "; ".join(left))


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Services keep their state here, and never where one of this host does."""
    os.environ.pop("STATE_DIRECTORY", None)
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with Servers() as servers:
        yield servers


@pytest.fixture(scope="session", params=wanted_versions(), ids="pg{}".format)
def postgres(request: pytest.FixtureRequest, servers: Servers) -> EmbeddedPostgres:
    """A server with max_connections 100, of each version; shared, so leave it as it was.

    A test that may run on one version only takes the decorator ``on_latest``.
    """
    return servers.get(request.param)


@pytest.fixture
def databases(postgres: EmbeddedPostgres, servers: Servers) -> Iterator[Callable[[int], list[str]]]:
    """``databases(n)`` returns the names of n empty databases; their sessions end with the test."""
    postgres.start()  # the test before may have stopped it
    stock = servers.stock(postgres)
    yield stock.take
    stock.take_back()


@pytest.fixture
def database(databases: Callable[[int], list[str]]) -> str:
    """The name of one empty database."""
    return databases(1)[0]


@pytest.fixture
def sampler(postgres: EmbeddedPostgres) -> Iterator[Sampler]:
    """A Sampler that has looked at pg_stat_activity since before the test."""
    with Sampler(postgres.dsn()) as sampler:
        yield sampler
