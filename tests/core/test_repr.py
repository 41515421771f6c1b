"""Every class of the core says what it is, in words that help in a debugger."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest

from tenantpool import core
from tenantpool.core.bucket import TokenBucket
from tenantpool.core.demand import Demand
from tests.core.driver import World


@pytest.fixture(scope="module")
def world() -> World:
    """One tenant with a lease, one that waits, and one that is being drained."""
    world = World(capacity=2)
    a = world.tenant("a", cap=1, rate=10.0, burst=5)
    world.lease(a)
    world.run(1.0)
    world.ask(a)
    world.perform(world.db.drain(world.now, world.tenant("b", tier="pro")))
    world.open_idle(1, world.tenant("c"))
    return world


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("db", "<Database main: 2 of 2 slots used, 3 pools, 1 waiting, breaker closed>"),
        ("db.ranking", "<Ranking of 0, best None>"),
        ("db.breaker", "<Breaker closed, 0 failures in a row>"),
        ("db.victims", "<Victims: 1 pools, 1 young connections>"),
        ("db.tenants['a']", "<Tenant a (basic): 1 of 1 in use, 0 pending, 1 waiting>"),
        ("db.tenants['b']", "<Tenant b (pro) draining: 0 of 5 in use, 0 pending, 0 waiting>"),
        ("db.tenants['a'].queue", "<Ranking of 1, best <Request a waiting>>"),
        ("db.tenants['a'].counters", "<Counters 2 requests, 1 leases, 0 refused>"),
        ("db.tenants['a'].counters.waits", "<Waits 1, 0.010000 s, longest 0.010000 s>"),
        ("db.pools['c']", "<Pool c: 1 open, 1 idle, 0 opening>"),
        ("opens[0]", "<Slot a in use>"),
        ("opens[0].request", "<Request a granted>"),
    ],
)
def test_what_is_said(world: World, what: str, said: str) -> None:
    assert repr(eval(f"world.{what}")) == said


def test_what_demand_says() -> None:
    demand = Demand()
    demand.note(3.0)
    assert repr(demand) == "<Demand 1.500>"


def test_what_a_bucket_says() -> None:
    bucket = TokenBucket(2.5, 3, 0.0)
    bucket.take(0.0)
    assert repr(bucket) == "<TokenBucket 2.0 of 3, 2.5/s>"


def test_a_request_of_a_shell_is_called_by_its_own_name(world: World) -> None:
    class Lease(type(world.opens[0].request)):  # type: ignore[misc]
        pass

    assert repr(Lease(world.db.tenants["a"])) == "<Lease a new>"


def test_no_class_is_silent() -> None:
    modules = [
        import_module(f"{core.__name__}.{m.name}") for m in pkgutil.iter_modules(core.__path__)
    ]
    classes = {
        kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    }
    assert len(classes) > 15
    assert [kind for kind in classes if kind.__repr__ is object.__repr__] == []
