"""What must be true of a database after every event, said without the core's own bookkeeping.

The model is told of nothing but the events and the actions that came back. From these it knows
which requests wait and hold, and which connects, closes and resets are under way; every count and
every ranking of the core is compared with that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import inf

from tenantpool.core.actions import (
    Actions,
    Answer,
    Close,
    Departed,
    Elsewhere,
    Open,
    Recall,
    Reset,
    Unpark,
    WakeAt,
)
from tenantpool.core.breaker import OPEN, Breaker
from tenantpool.core.database import Database
from tenantpool.core.limits import CAP, MAX_WAITING, RETURN, TERMINATE
from tenantpool.core.pool import Pool
from tenantpool.core.recalls import is_outdated
from tenantpool.core.request import (
    CANCELLED,
    GRANTED,
    NEW,
    REFUSED,
    RETURNED,
    REVOKED,
    WAITING,
    Request,
)
from tenantpool.core.slot import CLOSING, GONE, IDLE, IN_USE, OPENING, RESETTING, Slot
from tenantpool.core.tenant import BELOW_GUARANTEE, OVERFLOW, STANDING, Tenant

LIFE_OF_A_REQUEST = {
    NEW: {WAITING, GRANTED, REFUSED, CANCELLED},
    WAITING: {GRANTED, REFUSED, CANCELLED, NEW},  # new again: by ``leave``
    # waiting again, refused, or new again: by ``replace``
    GRANTED: {WAITING, REFUSED, RETURNED, REVOKED, NEW},
    REFUSED: set(),
    CANCELLED: set(),
    RETURNED: set(),
    REVOKED: set(),
}
TOLD = {(WAITING, GRANTED), (WAITING, REFUSED), (GRANTED, REVOKED)}
"""Steps of a request that its holder hears of, as somebody else made them."""
LIFE_OF_A_SLOT = {
    OPENING: {IDLE, IN_USE, CLOSING, GONE},
    IDLE: {IN_USE, CLOSING},
    IN_USE: {IDLE, RESETTING, CLOSING},
    RESETTING: {IDLE, IN_USE, CLOSING},
    CLOSING: {GONE},
    GONE: set(),
}


class Model:
    """Follows a database from outside."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now = 0.0
        self.requests: dict[Request, str] = {}
        self.slots: dict[Slot, str] = {}
        self.holders: dict[Slot, Request] = {}
        self.wakes: list[float] = []
        self.used = 0
        self.connects = 0
        self.in_use: dict[Tenant, int] = {}
        self.queued: dict[Tenant, int] = {}
        self.asked: dict[Request, float] = {}
        """Deadlines of the leases that have been asked for."""
        self.abroad: Counter[str] = Counter()
        """Leases of a tenant that it holds from before it moved, as far as it has been told."""
        self.departed: list[Tenant] = []
        """Whose leases have ended, and nobody has been told."""
        self.elsewhere: list[Request] = []

    # -- the events and what came back -----------------------------------------------------------

    def took(
        self,
        actions: Actions,
        asking: Request | None = None,
        arriving: Collection[Request] = (),
    ) -> None:
        """An event has returned *actions*: note them, and check everything.

        Who is *asking* may be answered too: it need not, as it sees what has become of it. Those
        who are *arriving* sleep since they asked elsewhere.
        """
        answers: Counter[Request] = Counter()
        for action in actions:
            match action:
                case Open(slot):
                    assert slot not in self.slots
                    assert not self.db.closing
                    assert not all(tenant.stopped for tenant in slot.pool.tenants)
                    self.slots[slot] = OPENING
                case Close(slot):
                    assert slot.state == CLOSING
                    assert self.slots[slot] != CLOSING, "closed twice"
                case Reset(slot):
                    assert slot.state == RESETTING
                    assert self.slots[slot] != RESETTING, "wiped twice"
                case Answer(request):
                    answers[request] += 1
                case WakeAt(when):
                    self.wakes.append(when)
                case Recall(request, deadline):
                    assert request.state in (GRANTED, REVOKED)
                    assert request.tenant.limits.shrink != RETURN
                    self.asked[request] = deadline
                case Unpark(request):
                    assert is_outdated(request)
                case Departed(tenant):
                    assert tenant.departed
                    self.departed.append(tenant)
                case Elsewhere(request):
                    assert (request.state, request.tenant.departed) == (NEW, True)
                    self.elsewhere.append(request)
        if asking is not None:
            assert answers.pop(asking, 0) <= 1
            self._follow(asking)
        self._follow_requests(answers, arriving)
        self._follow_slots(actions)
        self.check()

    def _follow_requests(self, answers: Counter[Request], arriving: Collection[Request]) -> None:
        for request in self.requests:
            before, after = self._follow(request)
            told = (before, after) in TOLD or (request in arriving and after != WAITING)
            assert answers.pop(request, 0) == told, "somebody sleeps on, or is woken in vain"
        assert not answers, "an answer to nobody"

    def _follow(self, request: Request) -> tuple[str, str]:
        before = self.requests.get(request, NEW)
        after = self.requests[request] = request.state
        assert after == before or after in LIFE_OF_A_REQUEST[before], (before, after)
        assert (request.slot is not None) == (after == GRANTED)
        assert (request.error is not None) == (after == REFUSED)
        return before, after

    def _follow_slots(self, actions: Actions) -> None:
        begun = {a.slot for a in actions if isinstance(a, Open | Close | Reset)}
        for slot, before in self.slots.items():
            after = slot.state
            assert after == before or after in LIFE_OF_A_SLOT[before], (before, after)
            if after != before and after in (CLOSING, RESETTING):
                assert slot in begun, "nobody was told"
            self.slots[slot] = after
            self._follow_holder(slot)

    def _follow_holder(self, slot: Slot) -> None:
        holder = self.holders.pop(slot, None)
        if holder is not None and holder.wipe and holder is not slot.request:
            assert slot.state in (RESETTING, CLOSING, GONE), "lent on without a wipe"
        if slot.request is not None:
            self.holders[slot] = slot.request

    def woke(self, actions: Actions) -> None:
        """As ``took``, for ``wake``, which ends only what has been asked for in vain."""
        before = dict(self.requests)
        held = Counter(request.tenant for request in self.granted())
        too_many = max(0, held.total() - self.db.limits.capacity)
        too_many += sum(max(0, count - tenant.ceiling) for tenant, count in held.items())
        self.took(actions)
        ended = [r for r, state in self.requests.items() if state == REVOKED != before[r]]
        assert len(ended) <= too_many, "ended more than had to go"
        for request in ended:
            assert self.asked[request] <= self.now, "ended before its deadline"
            assert request.tenant.limits.shrink == TERMINATE

    def moved(self, former: Tenant, tenant: Tenant, requests: list[Request]) -> None:
        """A tenant came to another seat, with those who waited."""
        self.abroad[tenant.name] += former.in_use
        self.queued[tenant] = len(requests)

    def waiting(self) -> list[Request]:
        return [r for r, state in self.requests.items() if state == WAITING]

    def granted(self) -> list[Request]:
        return [r for r, state in self.requests.items() if state == GRANTED]

    def in_state(self, state: str) -> list[Slot]:
        return [slot for slot, known in self.slots.items() if known == state]

    # -- invariants ------------------------------------------------------------------------------

    def check(self) -> None:
        """Everything that must be true between two events."""
        self._check_the_limit()
        for pool in self.db.pools.values():
            self._check_pool(pool)
        for tenant in self.db.tenants.values():
            self._check_tenant(tenant)
            self._check_ranking(tenant)
            if tenant.queue:
                self._check_nobody_waits_in_vain(tenant)

    def _check_the_limit(self) -> None:
        db, limits = self.db, self.db.limits
        alive = [slot for slot, state in self.slots.items() if state != GONE]
        assert db.used == len(alive)
        assert db.used <= max(limits.capacity, self.used), "grew above the capacity"
        self.used = db.used
        on_their_way = [slot for slot in alive if slot.heir is not None]
        assert all(slot.state in (OPENING, CLOSING) for slot in on_their_way)
        connects = [s for s in alive if s.state == OPENING or s.heir is not None]
        assert db.connecting == len(connects)
        assert db.connecting <= max(limits.connect_concurrency, self.connects)
        self.connects = db.connecting
        assert sum(len(pool.slots) for pool in db.pools.values()) == len(alive)
        assert db.idle == sum(slot.state == IDLE for slot in alive)
        assert len(db.ranking) == sum(tenant in db.ranking for tenant in db.tenants.values())
        known = {tenant for tenant in db.busy() if not tenant.departed}
        assert known == {t for t in db.tenants.values() if t.claim or t.queue}
        assert not db.overshoots

    def _check_pool(self, pool: Pool) -> None:
        mine = Counter(slot.state for slot in self.slots if slot.pool is pool)
        assert Counter(slot.state for slot in pool.slots) == mine - Counter({GONE: mine[GONE]})
        assert pool.opening == mine[OPENING]
        assert pool.closing == mine[CLOSING]
        assert set(pool.idle) == {slot for slot in pool.slots if slot.state == IDLE}
        assert pool.open == mine[IDLE] + mine[IN_USE] + mine[RESETTING]
        tenants = [tenant for tenant in self.db.tenants.values() if tenant.pool is pool]
        assert set(pool.tenants) == set(tenants)
        assert pool.tenants or pool.slots, "an empty pool that nobody has"
        assert pool.draining == all(tenant.stopped for tenant in tenants)
        assert pool.min_size == max((t.limits.min_size for t in tenants), default=0)
        assert pool.max_lifetime == min((t.limits.max_lifetime for t in tenants), default=inf)
        assert pool.cap == sum(tenant.limits.enforced_cap for tenant in tenants)
        for slot in pool.slots:
            if slot.state not in (OPENING, CLOSING) and tenants:
                lives = slot.expires_at - slot.opened_at
                assert 0.95 <= lives / pool.max_lifetime <= 1.0
        if pool.renewal is not None:
            old = [
                slot for slot in pool.slots if slot.state != CLOSING and slot in pool.renewal.old
            ]
            assert set(pool.renewal.old) == set(old)
            new = [s for s in pool.slots if s.state == OPENING and s not in pool.renewal.old]
            assert pool.renewal.opening == len(new)
            assert pool.renewal.owed >= -1
        assert len(pool.ranking) == sum(tenant in pool.ranking for tenant in pool.tenants)
        if pool.draining:
            assert not pool.idle, "drained, but not empty"
        assert not pool.warming or pool.opening or pool in self.db._warming, "never warm"

    def _check_tenant(self, tenant: Tenant) -> None:
        mine = [r for r in self.requests if r.tenant is tenant]
        leases = [r for r in mine if r.state == GRANTED]
        assert tenant.in_use == len(leases)
        assert {r.slot for r in leases} == {
            s for s in self.db.slots if s.request is not None and s.request.tenant is tenant
        }
        if CAP not in tenant.limits.trial:
            most = 0 if tenant.suspended else tenant.limits.ceiling - tenant.abroad
            assert tenant.in_use <= max(most, self.in_use.get(tenant, 0)), "more than it may"
        self.in_use[tenant] = tenant.in_use
        assert tenant.over == max(0, tenant.in_use - tenant.ceiling)
        assert tenant.abroad == self.abroad[tenant.name]
        assert set(tenant.queue) == {r for r in mine if r.state == WAITING}
        if MAX_WAITING not in tenant.limits.trial:
            longest = max(tenant.limits.max_waiting, self.queued.get(tenant, 0))
            assert len(tenant.queue) <= longest, "too many wait"
        self.queued[tenant] = len(tenant.queue)
        assert tenant.pending == sum(slot.heir is tenant for slot in self.slots)
        assert not (tenant.queue and (tenant.stopped or self.db.closing)), "waits for a drain"

    def _check_ranking(self, tenant: Tenant) -> None:
        db, pool = self.db, tenant.pool
        may_use_its_pool = bool(tenant.queue) and tenant.in_use < tenant.ceiling
        assert (tenant in pool.ranking) == may_use_its_pool
        covered = len(tenant.queue) <= tenant.pending
        needs = may_use_its_pool and not covered and tenant.claim < tenant.ceiling
        if needs and pool.breaker.allows(self.now):
            assert tenant in db.ranking, "forgotten in the queue"
        for ranking in (db.ranking, pool.ranking):
            if tenant in ranking:
                assert needs or ranking is pool.ranking
                assert ranking.key(tenant) == tenant.rank()

    def _check_nobody_waits_in_vain(self, tenant: Tenant) -> None:
        db, pool = self.db, tenant.pool
        outranked = any(_standing(t) != OVERFLOW for t in db.ranking)
        if tenant.in_use < tenant.cap:
            assert not pool.idle, "waits beside an idle connection"
        elif tenant in db.ranking and not outranked:
            assert not pool.idle, "may not have its overflow"
        if not pool.slots and tenant.in_use < tenant.ceiling:
            for breaker in (pool.breaker, db.breaker):
                assert not self._is_shut(breaker), "waits behind an open breaker"
        if tenant in db.ranking and self._may_connect(pool):
            assert db.used >= db.limits.capacity, "waits beside spare capacity"
            if _standing(tenant) != OVERFLOW:
                assert not self._victims(tenant), "waits beside a connection it could evict"

    def _may_connect(self, pool: Pool) -> bool:
        db = self.db
        breakers_allow = pool.breaker.allows(self.now) and db.breaker.allows(self.now)
        return breakers_allow and db.connecting < db.limits.connect_concurrency

    def _victims(self, tenant: Tenant) -> list[Slot]:
        urgent = _standing(tenant) == BELOW_GUARANTEE
        age = -inf if urgent else self.db.limits.min_connection_age
        return [slot for slot in self.in_state(IDLE) if slot.opened_at + age <= self.now]

    def _is_shut(self, breaker: Breaker) -> bool:
        return breaker.state == OPEN and self.now < breaker.retry_at


def _standing(tenant: Tenant) -> float:
    """Of a tenant that waits, and may have a connection."""
    rank = tenant.rank()
    assert rank is not None
    return rank[STANDING]
