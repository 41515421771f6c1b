"""The ticker keeps one time for all: a core that is woken early must ask for its time again."""

from __future__ import annotations

from collections.abc import Iterable

from tenantpool.core.actions import Open, WakeAt
from tenantpool.core.database import Database
from tenantpool.core.limits import BreakerLimits, DatabaseLimits, TenantLimits
from tenantpool.core.request import Request

BREAKER = BreakerLimits(failures=1, backoff=1.0)


def wakes(actions: Iterable[object]) -> list[float]:
    return [action.when for action in actions if isinstance(action, WakeAt)]


def fail(core: Database, now: float, name: str, *, everywhere: bool) -> list[float]:
    """A connect for the tenant *name* fails at *now*. Return the times that are asked for."""
    tenant = core.tenant(now, name, TenantLimits("basic", cap=1, breaker=BREAKER), name)
    [slot] = [a.slot for a in core.request(now, Request(tenant)) if isinstance(a, Open)]
    asked = core.open_failed(now, slot, OSError("no"), everywhere=everywhere, final=False)
    return wakes(asked) + wakes(core.closed(now, slot))


def test_an_early_wake_loses_no_pools_time():
    core = Database("main", DatabaseLimits(capacity=4))
    assert fail(core, 0.0, "a", everywhere=False) == [1.0]
    assert fail(core, 0.5, "b", everywhere=False) == [1.5]
    assert wakes(core.wake(1.0)) == [1.5]
    assert wakes(core.wake(1.5)) == []


def test_an_early_wake_loses_not_the_databases_time():
    core = Database("main", DatabaseLimits(capacity=4, breaker=BREAKER))
    assert fail(core, 0.0, "a", everywhere=True) == [1.0]
    assert wakes(core.wake(0.5)) == [1.0]
    assert wakes(core.wake(1.0)) == []
