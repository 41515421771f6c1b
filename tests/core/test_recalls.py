"""Who waits gets what others have parked: they are asked for it, and not more often than needed."""

from __future__ import annotations

from tenantpool.core.recalls import Recall, Recalls, is_outdated
from tenantpool.core.tenant import Tenant
from tests.core.driver import World


def full(world: World) -> tuple[Tenant, Tenant]:
    """Tenants ``a``, which has the only slot, and ``b``, which waits for it."""
    a, b = world.tenant("a"), world.tenant("b")
    world.lease(a)
    world.ask(b)
    return a, b


def test_whoever_may_have_parked_something_is_asked() -> None:
    a, b = full(World(capacity=1))
    recalls = Recalls(quiet=1.0)
    recalls.lent("main", a, "worker 1")
    recalls.lent("main", b, "worker 2")
    recalls.lent("other", b, "worker 3")
    assert recalls.waits(5.0, "main", b) == [
        Recall("worker 1", "main", None),
        Recall("worker 2", "main", None),
    ]


def test_a_tenant_at_its_cap_needs_only_its_own() -> None:
    world = World(capacity=5)
    a, b = world.tenant("a", cap=1), world.tenant("b")
    recalls = Recalls(quiet=1.0)
    recalls.lent("main", a, "worker 1")
    recalls.lent("main", b, "worker 2")
    world.lease(a)
    assert recalls.waits(5.0, "main", a) == [Recall("worker 1", "main", a)]


def test_nobody_is_asked_while_a_connection_is_on_its_way() -> None:
    world = World(capacity=5)
    a = world.tenant("a")
    recalls = Recalls(quiet=1.0)
    recalls.lent("main", a, "worker")
    world.ask(a)
    assert recalls.waits(5.0, "main", a) == []


def test_nobody_is_asked_again_and_again() -> None:
    a, b = full(World(capacity=1))
    recalls = Recalls(quiet=1.0)
    recalls.lent("main", a, "worker")
    assert recalls.waits(0.0, "main", b)
    assert not recalls.waits(0.4, "main", b)
    assert recalls.waits(0.5, "main", b)


def test_asking_nobody_does_not_count() -> None:
    a, b = full(World(capacity=1))
    recalls = Recalls(quiet=1.0)
    assert not recalls.waits(0.0, "main", b)
    recalls.lent("main", a, "worker")
    assert recalls.waits(0.1, "main", b)


def test_who_has_nothing_any_more_is_not_asked() -> None:
    a, b = full(World(capacity=1))
    recalls = Recalls(quiet=1.0)
    recalls.lent("main", a, "worker")
    recalls.lent("main", b, "worker")
    recalls.left("worker")
    recalls.left("worker")
    assert recalls.waits(0.0, "main", b) == []


def test_a_lease_is_outdated_while_its_tenant_may_not_have_it() -> None:
    world = World()
    a = world.tenant("a", cap=2)
    lease, _ = world.lease_all(2, a)
    assert not is_outdated(lease)
    world.perform(world.db.drain(world.now, a))
    assert is_outdated(lease)
    world.db.resume(a)
    assert not is_outdated(lease)
    world.change(a, cap=1)
    assert is_outdated(lease)
    world.change(a, cap=2)
    world.perform(world.db.move(world.now, a, "other", "other", None))
    assert is_outdated(lease)
    world.give_back(lease)
    assert not is_outdated(lease)
