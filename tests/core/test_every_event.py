"""All events in any order: after each of them the model must agree with the core.

``HYPOTHESIS_PROFILE=deep`` tries many more, new ones every time, and shortens what fails; that
takes minutes, so it needs ``pytest -o faulthandler_timeout=0``.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tenantpool.core.actions import Actions
from tenantpool.core.database import Database
from tenantpool.core.limits import (
    CAP,
    MAX_WAITING,
    RATE,
    STEPS,
    BreakerLimits,
    DatabaseLimits,
    TenantLimits,
)
from tenantpool.core.request import GRANTED, NEW, WAITING, Request
from tenantpool.core.slot import CLOSING, GONE, OPENING, RESETTING, Slot
from tenantpool.core.tenant import Tenant
from tests.core.model import Model

POOLS = {"a": "a", "b": "b", "c": "c", "x": "shared", "y": "shared", "z": "shared"}
NAMES = st.sampled_from(sorted(POOLS))
TENANT_BREAKER = BreakerLimits(failures=2, window=6, backoff=0.5, backoff_max=2.0)
DATABASE_BREAKER = BreakerLimits(failures=2, window=6, backoff=0.2, backoff_max=1.0)
NUMBERS = st.integers(0, 1000)

TIERS = st.builds(
    TenantLimits,
    tier=st.just("any"),
    cap=st.integers(1, 3),
    min_size=st.sampled_from([0, 0, 1, 3]),
    guarantee=st.integers(0, 1),
    weight=st.sampled_from([1.0, 3.0]),
    overflow=st.sampled_from([0, 0, 1, 2]),
    max_waiting=st.integers(1, 4),
    rate=st.sampled_from([None, None, None, 2.0]),
    burst=st.integers(1, 3),
    max_lease=st.sampled_from([None, 3.0]),
    max_idle=st.sampled_from([1.0, 600.0]),
    pool_idle=st.sampled_from([1.5, 1800.0]),
    max_lifetime=st.sampled_from([2.0, 3600.0]),
    leak_after=st.sampled_from([None, 1.0]),
    leak_revoke=st.booleans(),
    reset_always=st.booleans(),
    breaker=st.just(TENANT_BREAKER),
    shrink=st.sampled_from(STEPS),
    shrink_grace=st.sampled_from([0.3, 3.0]),
    trial=st.sampled_from(
        [frozenset[str]()] * 4 + [frozenset({limit}) for limit in (CAP, MAX_WAITING, RATE)]
    ),
)
DATABASES = st.builds(
    DatabaseLimits,
    capacity=st.integers(1, 6),
    connect_concurrency=st.integers(1, 3),
    min_connection_age=st.sampled_from([0.0, 0.1, 1.0]),
    quantum_factor=st.sampled_from([0.0, 50.0]),
    breaker=st.just(DATABASE_BREAKER),
)


class EveryEvent(RuleBasedStateMachine):
    """A shell that does things in any order, and a model that looks on."""

    @initialize(limits=DATABASES, tiers=st.lists(TIERS, min_size=len(POOLS), max_size=len(POOLS)))
    def begin(self, limits: DatabaseLimits, tiers: list[TenantLimits]) -> None:
        self.db = Database("main", limits)
        self.tiers = dict(zip(POOLS, tiers, strict=True))
        self.pools = dict(POOLS)
        self.sessions = dict.fromkeys(POOLS, "")
        self.model = Model(self.db)
        self.upsets = 0

    @property
    def now(self) -> float:
        return self.model.now

    def took(
        self,
        actions: Actions,
        asking: Request | None = None,
        arriving: Collection[Request] = (),
    ) -> None:
        self.model.took(actions, asking, arriving)
        assert not self.db._actions, "actions left behind"

    def tenant(self, name: str) -> Tenant:
        pool = self.pools[name]
        return self.db.tenant(self.now, name, self.tiers[name], pool, pool, self.sessions[name])

    def news(self) -> None:
        """What one database says is told to the other; here both are one."""
        while self.model.departed:
            former = self.model.departed.pop()
            self.model.abroad[former.name] -= 1
            if former.name in self.db.tenants:
                self.took(self.db.came_home(self.now, self.db.tenants[former.name]))
        while self.model.elsewhere:
            request = self.model.elsewhere.pop()
            if request.state == NEW:
                request.tenant = self.tenant(request.tenant.name)
                self.took(self.db.request(self.now, request), asking=request)

    # -- callers ---------------------------------------------------------------------------------

    @rule(name=NAMES, priority=st.integers(0, 2), times=st.integers(1, 3))
    def ask(self, name: str, priority: int, times: int) -> None:
        for _ in range(times):
            request = Request(self.tenant(name), priority)
            self.took(self.db.request(self.now, request), asking=request)

    def one_of(self, requests: list[Request], number: int) -> Request:
        return requests[number % len(requests)]

    @precondition(lambda self: self.model.granted())
    @rule(number=NUMBERS, healthy=st.sampled_from([True, True, False]))
    def give_back(self, number: int, healthy: bool) -> None:
        request = self.one_of(self.model.granted(), number)
        self.took(self.db.release(self.now, request, healthy=healthy))

    @precondition(lambda self: self.model.granted())
    @rule(number=NUMBERS)
    def dirty(self, number: int) -> None:
        """The session of a lease goes where only a wipe can follow."""
        self.one_of(self.model.granted(), number).wipe = True

    @precondition(lambda self: self.model.granted())
    @rule(number=NUMBERS)
    def find_broken(self, number: int) -> None:
        request = self.one_of(self.model.granted(), number)
        self.took(self.db.replace(self.now, request), asking=request)

    @precondition(lambda self: self.model.requests)
    @rule(
        number=NUMBERS, event=st.sampled_from(["cancel", "expire", "revoke", "release", "replace"])
    )
    def too_late_or_not(self, number: int, event: str) -> None:
        request = self.one_of(list(self.model.requests), number)
        self.took(getattr(self.db, event)(self.now, request), asking=request)

    @precondition(lambda self: self.model.waiting())
    @rule(number=NUMBERS, event=st.sampled_from(["cancel", "expire"]))
    def stop_waiting(self, number: int, event: str) -> None:
        request = self.one_of(self.model.waiting(), number)
        self.took(getattr(self.db, event)(self.now, request), asking=request)
        assert request.state != WAITING

    # -- connections -----------------------------------------------------------------------------

    def a_slot(self, state: str, number: int) -> Slot:
        slots = self.model.in_state(state)
        return slots[number % len(slots)]

    @precondition(lambda self: self.model.in_state(OPENING))
    @rule(number=NUMBERS, seconds=st.sampled_from([0.001, 0.02, 2.0]))
    def connect(self, number: int, seconds: float) -> None:
        self.took(self.db.opened(self.now, self.a_slot(OPENING, number), seconds))

    @precondition(lambda self: self.model.in_state(OPENING))
    @rule(number=NUMBERS, everywhere=st.booleans(), final=st.sampled_from([False, False, True]))
    def fail_to_connect(self, number: int, everywhere: bool, final: bool) -> None:
        slot, error = self.a_slot(OPENING, number), ConnectionError("no")
        self.took(self.db.open_failed(self.now, slot, error, everywhere=everywhere, final=final))

    @precondition(lambda self: self.model.in_state(CLOSING))
    @rule(number=NUMBERS)
    def close(self, number: int) -> None:
        self.took(self.db.closed(self.now, self.a_slot(CLOSING, number)))

    @precondition(lambda self: self.model.in_state(RESETTING))
    @rule(number=NUMBERS, healthy=st.booleans())
    def wipe(self, number: int, healthy: bool) -> None:
        self.took(self.db.cleaned(self.now, self.a_slot(RESETTING, number), healthy=healthy))

    @rule()
    def perform(self) -> None:
        """Everything that is under way ends well."""
        for slot in self.model.in_state(CLOSING):
            self.took(self.db.closed(self.now, slot))
        for slot in self.model.in_state(RESETTING):
            self.took(self.db.cleaned(self.now, slot))
        for slot in self.model.in_state(OPENING):
            self.took(self.db.opened(self.now, slot, 0.01))

    # -- the operator ----------------------------------------------------------------------------

    @rule(name=NAMES, event=st.sampled_from(["drain", "evict", "warm", "reset_breaker"]))
    def tend(self, name: str, event: str) -> None:
        self.took(getattr(self.db, event)(self.now, self.tenant(name)))

    @rule(number=st.integers(0, 9))
    def lose(self, number: int) -> None:
        slots = list(self.db.slots)
        if slots:
            self.took(self.db.lost(self.now, slots[number % len(slots)]))

    @rule()
    def resume_all(self) -> None:
        for tenant in self.db.tenants.values():
            self.db.resume(tenant)
            assert tenant.stopped == bool(tenant.suspended)

    @rule(
        capacity=st.integers(0, 6), lost=st.booleans(), shut=st.sampled_from([False] * 3 + [True])
    )
    def upset(self, capacity: int, lost: bool, shut: bool) -> None:
        """What happens to a whole database, and not often."""
        self.upsets += 1
        if self.upsets % 4 == 0:
            self.took(self.db.set_capacity(self.now, capacity))
        elif self.upsets % 4 == 1 and lost:
            self.took(self.db.unreachable(self.now, ConnectionError("gone")))
        elif self.upsets > 8 and shut:
            self.took(self.db.shutdown(self.now))

    @rule(name=NAMES, tier=TIERS, session=st.sampled_from(["", "", "other"]))
    def change(self, name: str, tier: TenantLimits, session: str) -> None:
        """Another tier, and sometimes other settings of its sessions."""
        waited = self.model.waiting()
        self.tiers[name], self.sessions[name] = tier, session
        self.took(self.db.set_tenant(self.now, self.tenant(name), tier, session))
        assert all(request.error is None for request in waited), "refused by a change"

    @rule(limits=DATABASES)
    def change_database(self, limits: DatabaseLimits) -> None:
        self.took(self.db.set_limits(self.now, limits))

    @rule(name=NAMES, suspend=st.booleans())
    def decree(self, name: str, suspend: bool) -> None:
        tenant = self.tenant(name)
        if suspend:
            self.took(self.db.suspend(self.now, tenant, "has not paid"))
        else:
            self.took(self.db.unsuspend(self.now, tenant))

    @rule(name=NAMES, pool=st.sampled_from(["a", "b", "shared", "new"]))
    def move(self, name: str, pool: str) -> None:
        tenant, waited = self.tenant(name), self.model.waiting()
        self.pools[name] = pool
        self.took(self.db.move(self.now, tenant, pool, pool, self.sessions[name]))
        assert tenant.pool is self.db.pools[pool]
        self.nobody_is_lost(waited, tenant)

    @rule(name=NAMES, pool=st.sampled_from(["a", "b", "shared", "new"]))
    def move_away(self, name: str, pool: str) -> None:
        """Leave, and come to another seat: of this database, as all databases are alike."""
        former, waited = self.tenant(name), self.model.waiting()
        requests, actions = self.db.leave(self.now, former)
        self.took(actions)
        assert former.name not in self.db.tenants
        assert all(request.state == NEW for request in requests)
        self.pools[name] = pool
        tenant = self.tenant(name)
        abroad = self.model.abroad[name] + former.in_use
        self.model.moved(former, tenant, requests)
        self.took(self.db.arrive(self.now, tenant, requests, abroad), arriving=requests)
        self.nobody_is_lost(waited, tenant)

    def nobody_is_lost(self, waited: list[Request], tenant: Tenant) -> None:
        for request in waited:
            if request.error is not None:
                assert tenant.stopped or self.db.closing or request.error.reason == "BREAKER_OPEN"
            else:
                assert request.state in (WAITING, GRANTED)

    @precondition(lambda self: self.model.requests)
    @rule(number=NUMBERS)
    def ask_who_may_have_left(self, number: int) -> None:
        """A caller has looked the tenant up a while ago."""
        tenant = self.one_of(list(self.model.requests), number).tenant
        request = Request(tenant)
        self.took(self.db.request(self.now, request), asking=request)

    @rule()
    def hear(self) -> None:
        self.news()

    @rule(name=NAMES)
    def renew(self, name: str) -> None:
        self.took(self.db.renew(self.now, self.tenant(name).pool))

    # -- time ------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.05, 0.05, 0.3, 1.0, 3.0, 5000.0]))
    def pass_time(self, seconds: float) -> None:
        self.model.now += seconds
        if self.model.wakes and min(self.model.wakes) <= self.now:
            self.model.wakes = [when for when in self.model.wakes if when > self.now]
            self.model.woke(self.db.wake(self.now))
        self.model.check()

    @rule()
    def sweep(self) -> None:
        for pool in list(self.db.pools.values()):
            self.took(self.db.sweep(self.now, pool))

    # -- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.everybody_is_served()
            self.nothing_is_left()

    def everybody_is_served(self) -> None:
        """If all goes well from now on, whoever waits gets a connection."""
        self.took(self.db.set_capacity(self.now, max(1, self.db.limits.capacity)))
        waiting = self.model.waiting()
        for _ in range(100):
            if not any(request.state == WAITING for request in waiting):
                break
            self.perform()
            for request in self.model.granted():
                self.took(self.db.release(self.now, request))
            self.news()
            self.pass_time(0.05)
        assert not any(request.state == WAITING for request in waiting), "waits for ever"

    def nothing_is_left(self) -> None:
        self.took(self.db.shutdown(self.now))
        for request in self.model.granted():
            self.took(self.db.cancel(self.now, request))
        self.perform()
        self.perform()
        assert not self.model.waiting()
        assert self.model.in_state(GONE) == list(self.model.slots)
        assert self.db.used == self.db.connecting == len(self.db.ranking) == 0
        self.news()
        for name in list(self.db.tenants):
            self.db.resume(self.tenant(name))
            self.took(self.db.unsuspend(self.now, self.tenant(name)))
        assert not self.db._shrinks
        self.pass_time(1e4)
        self.sweep()
        assert not self.db.tenants
        assert not self.db.pools


DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"

TestEveryEvent = EveryEvent.TestCase
TestEveryEvent.settings = settings(
    max_examples=5000 if DEEP else 300,
    stateful_step_count=60,
    derandomize=not DEEP,
    phases=tuple(Phase) if DEEP else (Phase.generate,),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
