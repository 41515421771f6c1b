"""Rule 5: the idle connection to evict is the one that is needed least, and not too young."""

from __future__ import annotations

from math import log

from hypothesis import given
from hypothesis import strategies as st

from tenantpool.core.request import Request
from tenantpool.core.slot import IDLE, Slot
from tenantpool.core.tenant import Tenant
from tests.core.driver import World


def evicted(world: World) -> list[str]:
    """Whose connection has to go for a newcomer."""
    world.ask(world.tenant("newcomer"))
    return [close.slot.pool.name for close in world.closes]


def ask_and_return(world: World, times: int, tenant: Tenant) -> None:
    for _ in range(times):
        world.give_back(world.lease(tenant))


def test_the_pool_with_the_lower_rate_loses() -> None:
    world = World(capacity=2)
    busy, quiet = world.tenant("busy"), world.tenant("quiet")
    ask_and_return(world, 10, busy)
    ask_and_return(world, 3, quiet)
    world.run(1.0)
    assert evicted(world) == ["quiet"]


def test_the_rate_counts_per_idle_connection() -> None:
    world = World(capacity=5)
    world.open_idle(4, world.tenant("wide"))
    ask_and_return(world, 2, world.tenant("narrow"))
    world.run(1.0)
    assert evicted(world) == ["wide"]


def test_the_rate_counts_per_connection_that_has_become_idle_by_now() -> None:
    world = World(capacity=4)
    held = [*world.lease_all(2, world.tenant("wide")), world.lease(world.tenant("narrow"))]
    world.run(1.0)
    world.lease(world.tenant("other"))
    world.give_back(*held)
    assert evicted(world) == ["wide"]


def test_the_rate_counts_as_it_is_by_now() -> None:
    world = World(capacity=3)
    first, second = world.tenant("first"), world.tenant("second")
    world.open_idle(1, first)
    world.open_idle(1, second)
    world.run(1.0)
    world.lease(world.tenant("other"))
    ask_and_return(world, 5, first)
    assert evicted(world) == ["second"]


def test_requests_of_long_ago_count_less() -> None:
    world = World(capacity=2)
    ask_and_return(world, 10, world.tenant("once"))
    world.run(20.0)
    ask_and_return(world, 2, world.tenant("now"))
    world.run(1.0)
    assert evicted(world) == ["once"]


def test_the_coldest_connection_of_the_pool_goes() -> None:
    world = World(capacity=2)
    first, second = world.lease_all(2, world.tenant("a"))
    coldest = second.slot
    world.give_back(second, first)
    world.run(1.0)
    evicted(world)
    assert [close.slot for close in world.closes] == [coldest]


def test_a_young_connection_is_spared_until_its_time_has_come() -> None:
    world = World(capacity=1, min_connection_age=0.1)
    world.open_idle(1, world.tenant("a"))
    (slot,) = world.db.slots
    assert evicted(world) == []
    assert world.wakes == [slot.opened_at + 0.1]
    world.run(0.09)
    assert slot.state == IDLE
    world.run(0.1)
    assert [close.slot for close in world.closes] == [slot]


def test_a_guarantee_does_not_wait_for_a_minimum_age() -> None:
    world = World(capacity=1)
    world.open_idle(1, world.tenant("a"))
    world.ask(world.tenant("b", guarantee=1))
    assert len(world.closes) == 1


def test_a_guarantee_too_takes_an_older_connection_first() -> None:
    world = World(capacity=2)
    world.open_idle(1, world.tenant("old"))
    world.run(1.0)
    world.open_idle(1, world.tenant("young"))
    world.ask(world.tenant("b", guarantee=1))
    assert [close.slot.pool.name for close in world.closes] == ["old"]


class Crowd(World):
    """Pools that lend and get back, and the exact ranking of their idle connections."""

    def __init__(self) -> None:
        super().__init__(capacity=100, connect=0.0, close=0.0)
        self.all = [self.tenant(f"t{number}") for number in range(4)]
        self.held: list[Request] = []
        for tenant in self.all:
            self.open_idle(2, tenant)
        self.run(1.0)

    def step(self, what: str, number: int) -> None:
        if what == "use" and self.all[number].in_use < 5:
            ask_and_return(self, 1, self.all[number])
        elif what == "wait":
            self.run([0.0, 0.05, 0.3, 3.0][number])
        elif what == "give back" and self.held:
            self.give_back(self.held.pop(number % len(self.held)))
        elif what == "ask" and self.all[number].in_use < 5:
            self.held.append(self.lease(self.all[number]))

    def need(self, tenant: Tenant) -> float:
        pool = tenant.pool
        return pool.demand.score - log(len(pool.idle))

    def ripe(self, tenant: Tenant) -> list[Slot]:
        age = self.db.limits.min_connection_age
        return [slot for slot in tenant.pool.idle if slot.opened_at + age <= self.now]


STEPS = st.tuples(st.sampled_from(["use", "ask", "give back", "wait"]), st.integers(0, 3))


@given(st.lists(STEPS, max_size=60), st.integers(1, 5))
def test_ranked_lazily_the_choice_is_that_of_an_exact_ranking(
    steps: list[tuple[str, int]], pause: int
) -> None:
    world = Crowd()
    for count, step in enumerate(steps):
        world.step(*step)
        if count % pause:
            continue  # so that ranks can grow old between two choices
        choice = world.db.victims.choose(world.now)
        eligible = [tenant for tenant in world.all if world.ripe(tenant)]
        if choice is None:
            assert not eligible
        else:
            (chosen,) = choice.pool.tenants
            assert world.need(chosen) == min(map(world.need, eligible))
            assert choice is world.ripe(chosen)[0]
