"""Many threads on one manager, and how few threads and tasks a manager has itself."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tenantpool import AsyncManager, Manager, Settings
from tenantpool.concurrency import Signal
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.errors import Draining, ManagerClosed
from tests.manager._sync.helpers import Background
from tests.manager.support import Tenants, make_settings
from tests.stress._async.use import visit as visit_async
from tests.stress._sync.use import hold, lease_every_slot, visit
from tests.stress.crowd import nothing_left, waiting
from tests.support.servers import on_latest
from tests.support.wait import wait_until

pytestmark = on_latest

THREADS = 32
VISITS = 40
CAPACITY = 8
FEW, MANY = 2, 200


@pytest.fixture
def roles(postgres: EmbeddedPostgres) -> Iterator[list[str]]:
    """Login roles, each of which makes a pool of its own."""
    names = [f"role_{number}" for number in range(MANY)]
    postgres.execute("; ".join(f"create role {name} login" for name in names))
    yield names
    postgres.execute("; ".join(f"drop role {name}" for name in names))


@pytest.fixture
def settings(postgres: EmbeddedPostgres, database: str, roles: list[str]) -> Settings:
    tenants: Tenants = {name: {"dbname": database, "user": name} for name in roles}
    return make_settings(postgres, tenants, capacity=CAPACITY, min_connection_age=0)


@pytest.fixture
def manager(settings: Settings) -> Iterator[Manager]:
    with Manager(settings) as manager:
        yield manager


def test_many_threads_lose_nothing(manager: Manager, roles: list[str]):
    tenants = roles[: CAPACITY + 2]
    served: Counter[str] = Counter()

    def work(number: int) -> None:
        mine: Counter[str] = Counter()
        for visits in range(VISITS):
            tenant = tenants[(number + visits * visits) % len(tenants)]
            visit(manager, tenant)
            mine[tenant] += 1
        with lock:
            served.update(mine)

    lock = threading.Lock()
    for worker in [Background(work, number) for number in range(THREADS)]:
        worker.result()
    stats = manager.stats()
    assert served.total() == THREADS * VISITS
    assert served == {name: tenant.leases for name, tenant in stats.tenants.items()}
    lease_every_slot(manager, *tenants)
    manager.close()
    nothing_left(manager._shells["main"].core)


def test_threads_do_not_grow_with_tenants(manager: Manager, roles: list[str]):
    def touch(tenants: list[str]) -> int:
        for tenant in tenants:
            visit(manager, tenant)
        lease_every_slot(manager, *tenants)
        return threading.active_count() - others

    others = threading.active_count() - 1  # the ticker
    limit = 1 + 2 * manager.settings.databases["main"].connect_concurrency
    assert touch(roles[:FEW]) <= limit
    assert touch(roles) <= limit


async def test_tasks_do_not_grow_with_tenants(settings: Settings, roles: list[str]):
    async with AsyncManager(settings) as manager:
        counts = []
        for tenants in (roles[:FEW], roles):
            for tenant in tenants:
                await visit_async(manager, tenant)
            counts.append(len(asyncio.all_tasks()))
    assert counts[0] == counts[1]


def test_those_who_wait_when_the_manager_is_closed_are_told_at_once(
    manager: Manager, roles: list[str]
):
    acme, other, *_ = roles
    with ExitStack() as stack:
        hold(stack, manager, *[acme] * CAPACITY)
        waiters = [Background(visit, manager, other) for _ in range(THREADS)]
        wait_until(lambda: waiting(manager.stats(), other) == THREADS)
        closing = Background(manager.close, grace=30)
        for waiter in waiters:
            with pytest.raises(Draining):
                waiter.result()
        with pytest.raises(ManagerClosed):
            visit(manager, other)
    assert closing.result() == 0
    nothing_left(manager._shells["main"].core)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_whatever_leaves_a_block_gives_the_connection_back(
    manager: Manager, roles: list[str], error: type[BaseException]
):
    def leave() -> None:
        with manager.connection(roles[0]) as conn:
            conn.execute("select 1")
            raise error

    with pytest.raises(error):
        leave()
    lease_every_slot(manager, roles[0])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """An interrupt raises, also where a shell runs the tests in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_waiting_takes_the_request_out_of_the_queue(
    manager: Manager, roles: list[str]
):
    main = threading.main_thread().ident or 0

    def interrupt() -> None:
        wait_until(lambda: sys._current_frames()[main].f_code is Signal.wait.__code__)
        assert waiting(manager.stats(), other)
        signal.pthread_kill(main, signal.SIGINT)

    acme, other, *_ = roles
    with ExitStack() as stack:
        hold(stack, manager, *[acme] * CAPACITY)
        interrupting = Background(interrupt)
        with pytest.raises(KeyboardInterrupt):
            visit(manager, other)
        interrupting.result()
        assert not waiting(manager.stats(), other)
    lease_every_slot(manager, other)
