"""Everything at once against a real server: not one connection too many, and nothing left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tenantpool import AsyncManager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.embedded.server import StopMode
from tests.manager._async.helpers import Background, OpenManager, wait_until
from tests.manager.support import APPLICATION
from tests.stress._async.guests import AsyncGuest, AsyncHost
from tests.stress._async.use import use_every_slot
from tests.stress.crowd import (
    ADMITTED,
    CAPACITY,
    SECONDS,
    WATCHERS,
    Operator,
    crowd,
    is_at_rest,
    nothing_left,
)
from tests.support.dice import SEED, Dice
from tests.support.sampler import Sampler

GUESTS = 20


async def cook(
    manager: AsyncManager, operator: Operator, *, restarts: Sequence[StopMode] = ()
) -> Counter[str]:
    """Let guests and a host loose on *manager*; return how the guests' visits ended."""
    print(f"to cook it again: TENANTPOOL_STRESS_SEED={SEED}")
    guests = [AsyncGuest(manager, Dice(f"guest {number}")) for number in range(GUESTS)]
    host = AsyncHost(manager, operator, Dice("host"))
    jobs = [Background(host.meddle, SECONDS, restarts=restarts)]
    jobs += [Background(guest.stay, host) for guest in guests]
    for job in jobs:
        await job.result()
    return sum((guest.endings for guest in guests), Counter())


async def check_the_books(manager: AsyncManager, operator: Operator, endings: Counter[str]) -> None:
    """Every request ended once, every slot is there, and nothing is left at the end.

    Whatever was killed last, nobody may have wanted to use since. So PostgreSQL and the core need
    not agree before all slots were used; but then they do, at once.
    """
    core = manager._shells["main"].core
    await wait_until(lambda: is_at_rest(core), what=f"rest, {core!r}")
    assert core.used >= operator.backends()
    await use_every_slot(manager, *ADMITTED)
    assert is_at_rest(core), core
    assert operator.backends() == core.used == CAPACITY
    stats = manager.stats().tenants.values()
    ended = sum(tenant.leases + sum(tenant.refused.values()) for tenant in stats)
    given_up = sum(tenant.requests for tenant in stats) - ended
    assert 0 <= given_up <= endings["cancelled"]
    assert endings["done"], "a soup that nobody was served proves nothing"
    await manager.close()
    nothing_left(core)
    assert operator.backends() == 0


async def test_never_one_connection_more_than_the_server_has(
    open_manager: OpenManager, full: EmbeddedPostgres, operator: Operator, not_one_more: None
):
    manager = await open_manager(crowd(full, capacity="auto", headroom=WATCHERS))

    endings = await cook(manager, operator)
    await check_the_books(manager, operator, endings)


async def test_never_more_than_the_capacity_while_the_server_restarts(
    open_manager: OpenManager, full: EmbeddedPostgres, operator: Operator
):
    with Sampler(full.dsn(), tolerant=True) as sampler:
        manager = await open_manager(crowd(full))

        endings = await cook(manager, operator, restarts=("immediate", "fast"))
        await check_the_books(manager, operator, endings)

    assert sampler.most_of(APPLICATION) <= CAPACITY
