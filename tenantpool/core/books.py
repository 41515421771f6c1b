"""The books of a database: every count, and the few steps that may change one.

Whatever is decided elsewhere is carried out by these steps, so that slots, leases, claims and
queues always add up. They decide nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable

from tenantpool.errors import Reason, Refused

from .actions import Action, Actions, Answer, Close, Departed, Forgotten, Open
from .breaker import Breaker
from .counters import MAX_LEASE
from .limits import DatabaseLimits, TenantLimits
from .pool import Pool
from .ranking import Ranking
from .request import GRANTED, NEW, REFUSED, WAITING, Request
from .slot import CLOSING, GONE, IDLE, IN_USE, Slot
from .tally import BOUNDS, Histogram, Tally
from .tenant import Tenant
from .victims import Victims

_FIRST_CONNECT_GUESS = 0.005
_MOST_CREDIT = 1.0
"""Seconds of slot time per weight that a tenant can be ahead or behind when it begins to wait."""
SMOOTHING = 0.1
"""Weight of the newest sample in the running means of connect and hold times."""


class Books:
    """State of a database and its elementary steps. The steps are private to the core."""

    def __init__(self, name: str, limits: DatabaseLimits) -> None:
        self.name = name
        self.limits = limits
        self.slots: dict[Slot, None] = {}
        """Slots that are not gone: what the capacity limits."""
        self.leaving = 0
        """Slots that are being closed."""
        self.idle = 0
        """Slots that are idle."""
        self.connecting = 0
        """Connects under way, and slots that are being closed to make room for one."""
        self.connect_time = _FIRST_CONNECT_GUESS
        """Running mean of the seconds that a connect takes."""
        self.service = 0.0
        """The largest ``service`` of a tenant that was served: where a newcomer begins."""
        self.breaker = Breaker(limits.breaker)
        self.closing = False
        self.tenants: dict[str, Tenant] = {}
        self.pools: dict[Hashable, Pool] = {}
        self.ranking: Ranking[Tenant] = Ranking()
        """Tenants with a waiter for whom no slot is on its way."""
        self.victims = Victims(limits.min_connection_age)
        self.breakers: dict[Hashable, Breaker] = {}
        """Breakers of pools that are gone: a back-off outlives its pool."""
        self.held_up: dict[Tenant, None] = {}
        """Who waits, and has all that it may have where it was before it moved here."""
        self.tallies: dict[str, Tally] = {}
        """What each tier has had so far."""
        self.connects = Histogram()
        """Connects that worked."""
        self.connect_failures = 0
        self.evictions = 0
        """Connections that were closed so that another tenant gets the slot."""
        self.overshoots = 0
        """Slots that were made beyond the capacity: there must never be one."""
        self._actions: list[Action] = []

    def __repr__(self) -> str:
        waiting = sum(len(t.queue) for t in self.tenants.values())
        return (
            f"<Database {self.name}: {self.used} of {self.limits.capacity} slots used,"
            f" {len(self.pools)} pools, {waiting} waiting, breaker {self.breaker.state}>"
        )

    @property
    def used(self) -> int:
        """Slots that are not gone."""
        return len(self.slots)

    @property
    def surplus(self) -> int:
        """Slots above the capacity that are not being closed yet."""
        return len(self.slots) - self.leaving - self.limits.capacity

    def busy(self) -> set[Tenant]:
        """The tenants that hold a slot, have one on its way, or wait.

        Found from the slots, so that it takes the same time whatever the tenants: who waits is
        ranked here, or in a pool that has a slot, or has all that it may have, here or elsewhere.
        """
        found: set[Tenant] = {*self.ranking, *self.held_up}
        for pool in {slot.pool: None for slot in self.slots}:
            found.update(pool.ranking)
        for slot in self.slots:
            if slot.request is not None:
                found.add(slot.request.tenant)
            if slot.heir is not None:
                found.add(slot.heir)
        return found

    def tenant(
        self,
        now: float,
        name: str,
        limits: TenantLimits,
        key: Hashable,
        pool_name: str = "",
        session: object = None,
    ) -> Tenant:
        """The tenant of that name, brought into being on first use together with its pool."""
        tenant = self.tenants.get(name)
        if tenant is None:
            pool = self._pool(now, key, pool_name or name, limits)
            tally = self.tally(limits.tier)
            tenant = self.tenants[name] = Tenant(name, pool, limits, session, now, tally)
            if self.closing:
                tenant.reckon(closing=True)
            pool.attach(tenant)
        return tenant

    def _pool(self, now: float, key: Hashable, name: str, limits: TenantLimits) -> Pool:
        """The pool of that *key*, brought into being if need be."""
        pool = self.pools.get(key)
        if pool is None:
            breaker = self.breakers.pop(key, None) or Breaker(limits.breaker)
            pool = self.pools[key] = Pool(key, name, breaker, now)
        return pool

    def tally(self, tier: str) -> Tally:
        """The sums of *tier* here."""
        tally = self.tallies.get(tier)
        if tally is None:
            tally = self.tallies[tier] = Tally()
        return tally

    def _forget(self, now: float, pool: Pool, tenants: list[Tenant]) -> None:
        """Drop idle *tenants* of *pool*, and the pool once that is empty."""
        for tenant in tenants:
            tenant.forgotten = tenant.guarded = True
            del self.tenants[tenant.name]
            self._actions.append(Forgotten(tenant))
        pool.detach(tenants)
        self._forget_pool(now, pool)

    def _forget_pool(self, now: float, pool: Pool) -> None:
        """Drop *pool* if it has neither tenants nor slots.

        A back-off outlives its pool; those that are over make room.
        """
        if pool.tenants or pool.slots:
            return
        del self.pools[pool.key]
        self.victims.forget(pool)
        self.breakers[pool.key] = pool.breaker
        while self.breakers:
            oldest = next(iter(self.breakers))
            if not self.breakers[oldest].is_over(now):
                break
            del self.breakers[oldest]

    def _flush(self) -> Actions:
        actions = self._actions
        if not actions:
            return ()
        self._actions = []
        return actions

    # -- slots ---------------------------------------------------------------------------------

    def _open(self, now: float, tenant: Tenant) -> None:
        """Make a slot for *tenant*."""
        slot = Slot(tenant.pool, tenant)
        self.connecting += 1
        self.slots[slot] = slot.pool.slots[slot] = None
        self.overshoots += len(self.slots) > self.limits.capacity
        slot.pool.opening += 1
        if slot.pool.renewal is not None:
            slot.pool.renewal.opening += 1
        slot.pool.breaker.begin()
        self.breaker.begin()
        tenant.pending += 1
        self._rank(tenant)
        self._actions.append(Open(slot))

    def _connected(self, slot: Slot) -> None:
        """A slot's connect is over, well or badly."""
        self.connecting -= 1
        slot.pool.opening -= 1
        if slot.heir is not None:
            self._disinherit(slot)
        renewal = slot.pool.renewal
        if renewal is not None and slot not in renewal.old:
            renewal.opening -= 1

    def _close(self, slot: Slot, *, heir: Tenant | None = None, revoked: bool = False) -> None:
        """End a slot's connection; if it has an *heir*, to make room for that tenant."""
        if slot in slot.pool.idle:
            del slot.pool.idle[slot]
            self.idle -= 1
        slot.become(CLOSING)
        slot.pool.closing += 1
        self.leaving += 1
        if (renewal := slot.pool.renewal) is not None:
            renewal.old.pop(slot, None)
            renewal.end_if_done(slot.pool)
        if heir is not None:
            slot.heir = heir
            self.evictions += 1
            self.connecting += 1
            heir.pending += 1
            self._rank(heir)
        self._actions.append(Close(slot, revoked))

    def _closed(self, now: float, slot: Slot) -> None:
        """A closing slot's backend is gone, and so is the slot; a pool without tenants with it."""
        slot.pool.closing -= 1
        self.leaving -= 1
        if slot.heir is not None:
            self.connecting -= 1
            self._disinherit(slot)
        slot.become(GONE)
        del self.slots[slot], slot.pool.slots[slot]
        self._forget_pool(now, slot.pool)

    def _disinherit(self, slot: Slot) -> None:
        heir = slot.heir
        assert heir is not None, "bug: a slot on its way to nobody"
        slot.heir = None
        heir.pending -= 1
        self._rank(heir)

    # -- leases --------------------------------------------------------------------------------

    def _lend(self, now: float, slot: Slot, request: Request) -> None:
        """*slot*, which is neither idle nor lent now, goes to *request*."""
        slot.become(IN_USE)
        slot.request = request
        request.slot = slot
        request.state = GRANTED
        request.granted_at = now
        tenant = request.tenant
        tenant.in_use += 1
        tenant.counters.leases += 1
        tenant.tally.leases += 1
        if tenant.watched and tenant.in_use + tenant.abroad > tenant.limits.ceiling:
            tenant.would_refuse(Reason.TENANT_LIMIT)

    def _end_lease(self, now: float, request: Request, state: str) -> Slot:
        """The lease of *request* ends in *state*. Return its slot, which is nobody's now."""
        slot = request.slot
        assert slot is not None, "bug: a lease without a slot"
        slot.request = None
        slot.free_since = now
        request.slot = None
        request.state = state
        held = now - request.granted_at
        tenant = request.tenant
        tenant.last_used = tenant.pool.last_used = now
        tenant.in_use -= 1
        tenant.counters.held += held
        holds = tenant.tally.holds  # not note(): every lease passes here
        holds.total += held
        holds.counts[bisect_left(BOUNDS, held)] += 1
        tenant.mean_hold += SMOOTHING * (held - tenant.mean_hold)
        if tenant.watched:
            self._lease_ended(tenant, held)
        if self.ranking:
            tenant.service += held / tenant.limits.weight
        if tenant.queue:
            self._rank(tenant)
        return slot

    def _lease_ended(self, tenant: Tenant, held: float) -> None:
        """A lease of a tenant that is watched ended after *held* seconds."""
        limits = tenant.limits
        if limits.max_lease != limits.enforced_max_lease and held > (limits.max_lease or 0.0):
            tenant.would_refuse(MAX_LEASE)
        if tenant.departed:
            self._actions.append(Departed(tenant))

    def _rest(self, now: float, slot: Slot) -> None:
        """Nobody wants *slot* just now."""
        slot.become(IDLE)
        pool = slot.pool
        pool.idle[slot] = None
        self.idle += 1
        if len(pool.idle) > pool.listed:
            self.victims.list(pool)

    # -- waiters -------------------------------------------------------------------------------

    def _join_queue(self, request: Request) -> None:
        tenant = request.tenant
        if not tenant.queue:
            least, most = self.service - _MOST_CREDIT, self.service + _MOST_CREDIT
            tenant.service = min(max(tenant.service, least), most)
        request.state = WAITING
        tenant.queue.put(request, (-request.priority, request.since))
        self._rank(tenant)

    def _leave_queue(self, request: Request, state: str) -> None:
        request.state = state
        request.tenant.queue.discard(request)
        self._rank(request.tenant)

    def _empty_queue(self, tenant: Tenant) -> list[Request]:
        """Take out all that wait, the first in line first; they are new again."""
        requests = sorted(tenant.queue, key=tenant.queue.key)
        for request in requests:
            self._leave_queue(request, NEW)
        return requests

    def _serve(self, now: float, slot: Slot, tenant: Tenant) -> None:
        """*slot* goes to the first in *tenant*'s queue."""
        request = tenant.queue.best()
        assert request is not None, "bug: served a tenant that does not wait"
        self.service = max(self.service, tenant.service)
        tenant.queue.discard(request)
        waited = now - request.since
        tenant.counters.waits.note(waited)
        tenant.tally.waits.note(waited)
        self._lend(now, slot, request)
        self._rank(tenant)
        self._actions.append(Answer(request))

    def _refuse(self, now: float, request: Request, error: Refused) -> None:
        """*request* ends without a connection, whether it waited or not."""
        error.waited = now - request.since
        request.error = error
        request.tenant.counters.refused[error.reason] += 1
        request.tenant.tally.refused[error.reason] += 1
        if request.state == WAITING:
            self._leave_queue(request, REFUSED)
            self._actions.append(Answer(request))
        else:
            request.state = REFUSED

    def _rank(self, tenant: Tenant) -> None:
        """Put *tenant* where it belongs, after anything that its rank depends on has changed."""
        if tenant.abroad or self.held_up:
            self._note_held_up(tenant)
        rank = tenant.rank()
        if rank is None:
            tenant.pool.ranking.discard(tenant)
            self.ranking.discard(tenant)
            return
        tenant.pool.ranking.put(tenant, rank)
        if tenant.needs:
            self.ranking.put(tenant, rank)
        else:
            self.ranking.discard(tenant)

    def _note_held_up(self, tenant: Tenant) -> None:
        if tenant.queue and tenant.abroad and tenant.rank() is None:
            self.held_up[tenant] = None
        else:
            self.held_up.pop(tenant, None)
