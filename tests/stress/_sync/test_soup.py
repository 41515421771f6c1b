# Generated from ../_async/test_soup.py by tools/generate_sync.py: do not edit.
"""Everything at once against a real server: not one connection too many, and nothing left over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tenantpool import Manager
from tenantpool.embedded import EmbeddedPostgres
from tenantpool.embedded.server import StopMode
from tests.manager._sync.helpers import Background, OpenManager, wait_until
from tests.manager.support import APPLICATION
from tests.stress._sync.guests import Guest, Host
from tests.stress._sync.use import use_every_slot
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


def cook(
    manager: Manager, operator: Operator, *, restarts: Sequence[StopMode] = ()
) -> Counter[str]:
    """Let guests and a host loose on *manager*; return how the guests' visits ended."""
    print(f"to cook it again: TENANTPOOL_STRESS_SEED={SEED}")
    guests = [Guest(manager, Dice(f"guest {number}")) for number in range(GUESTS)]
    host = Host(manager, operator, Dice("host"))
    jobs = [Background(host.meddle, SECONDS, restarts=restarts)]
    jobs += [Background(guest.stay, host) for guest in guests]
    for job in jobs:
        job.result()
    return sum((guest.endings for guest in guests), Counter())


def check_the_books(manager: Manager, operator: Operator, endings: Counter[str]) -> None:
    """Every request ended once, every slot is there, and nothing is left at the end.

    Whatever was killed last, nobody may have wanted to use since. So PostgreSQL and the core need
    not agree before all slots were used; but then they do, at once.
    """
    core = manager._shells["main"].core
    wait_until(lambda: is_at_rest(core), what=f"rest, {core!r}")
    assert core.used >= operator.backends()
    use_every_slot(manager, *ADMITTED)
    assert is_at_rest(core), core
    assert operator.backends() == core.used == CAPACITY
    stats = manager.stats().tenants.values()
    ended = sum(tenant.leases + sum(tenant.refused.values()) for tenant in stats)
    given_up = sum(tenant.requests for tenant in stats) - ended
    assert 0 <= given_up <= endings["cancelled"]
    assert endings["done"], "a soup that nobody was served proves nothing"
    manager.close()
    nothing_left(core)
    assert operator.backends() == 0


def test_never_one_connection_more_than_the_server_has(
    open_manager: OpenManager, full: EmbeddedPostgres, operator: Operator, not_one_more: None
):
    manager = open_manager(crowd(full, capacity="auto", headroom=WATCHERS))

    endings = cook(manager, operator)
    check_the_books(manager, operator, endings)


def test_never_more_than_the_capacity_while_the_server_restarts(
    open_manager: OpenManager, full: EmbeddedPostgres, operator: Operator
):
    with Sampler(full.dsn(), tolerant=True) as sampler:
        manager = open_manager(crowd(full))

        endings = cook(manager, operator, restarts=("immediate", "fast"))
        check_the_books(manager, operator, endings)

    assert sampler.most_of(APPLICATION) <= CAPACITY
