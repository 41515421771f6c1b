"""What a worker has of one session: leases in use, leases that are parked, and husks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from math import inf
from time import monotonic

from tenantpool.client.counters import Counters
from tenantpool.client.grant import Grant
from tenantpool.client.husk import Cupboard, Husk, dead_socket
from tenantpool.errors import LeaseEnded, ServiceUnavailable
from tenantpool.v1.session_pb2 import Discard, SessionRequest

_MOST_HUSKS = 64
_TRUST = 0.01
"""Seconds for which a parked connection is lent again without a look whether it lives."""


class Shelf:
    """Keeps everything under one lock, under which nothing blocks.

    A lease that comes back clean is parked for *linger* seconds: asked for again, it is there
    without a call. *tell* says something to the service; *alarm* is told when ``expire`` is due.
    """

    def __init__(
        self,
        lock: AbstractContextManager[object],
        linger: float,
        counters: Counters,
        tell: Callable[[SessionRequest], None],
        alarm: Callable[[float], None],
    ) -> None:
        self._lock = lock
        self._linger = linger
        self._trusted = linger - _TRUST
        self._counters = counters
        self._tell = tell
        self._alarm = alarm
        self._lent: dict[str, Grant] = {}
        self._parked: dict[str, list[Grant]] = {}
        self._husks = Cupboard(_MOST_HUSKS)
        self._dead = dead_socket()
        self._quiet: dict[str, float] = {}
        self._is_draining = False
        self.ended = ""
        self.on_empty: Callable[[], None] | None = None
        """Called when the last lease in use has come back, or the session is over."""

    def __repr__(self) -> str:
        lent, parked, husks = self.counts()
        return f"<Shelf {self.ended or 'open'}: {lent} lent, {parked} parked, {husks} husks>"

    def counts(self) -> tuple[int, int, int]:
        """How many leases are in use and parked, and how many husks there are."""
        with self._lock:
            return len(self._lent), sum(map(len, self._parked.values())), len(self._husks)

    def lent(self) -> list[Grant]:
        """The leases in use."""
        with self._lock:
            return list(self._lent.values())

    # -- leases --------------------------------------------------------------------------------

    def lend(self, grant: Grant) -> None:
        """The lease is in use from now on. Raises LeaseEnded if the session is over."""
        with self._lock:
            if not self.ended:
                self._lent[grant.lease_id] = grant
                return
            grant.cut(self.ended)
            grant.part(None, broken=True)
        raise LeaseEnded(f"{grant.tenant}: {self.ended}")

    def unpark(self, tenant: str) -> Grant | None:
        """The lease of *tenant* that was parked last, in use again; or None."""
        while self._parked:
            with self._lock:
                grant = self._pop_parked(tenant)
                if grant is None:
                    return None
                if grant.due - monotonic() > self._trusted or grant.is_alive():
                    self._lent[grant.lease_id] = grant
                    return grant
            self._return(grant, broken=True)
        return None

    def give_back(self, grant: Grant) -> None:
        """The lease is not in use any more: park it, or return it. Does not block.

        A second time does nothing.
        """
        is_clean = grant.is_clean
        with self._lock:
            if self._lent.pop(grant.lease_id, None) is None:
                return
            if is_parked := is_clean and self._may_park(grant):
                grant.shut()
                grant.due = monotonic() + self._linger
                self._parked.setdefault(grant.tenant, []).append(grant)
            else:
                is_empty = self._part(grant, broken=not is_clean)
        if is_parked:
            self._alarm(grant.due)
        else:
            self._put_back(grant, is_empty, broken=not is_clean)
        if self.on_empty is not None and not self._lent:
            self.on_empty()

    def _may_park(self, grant: Grant) -> bool:
        if not self._linger or self.ended or grant.ended or grant.is_wanted or self._is_draining:
            return False
        quiet = self._quiet
        return not quiet or max(quiet.get("", 0.0), quiet.get(grant.tenant, 0.0)) <= monotonic()

    def _pop_parked(self, tenant: str) -> Grant | None:
        grants = self._parked.get(tenant)
        if grants is None:
            return None
        grant = grants.pop()
        if not grants:
            del self._parked[tenant]
        return grant

    def _return(self, grant: Grant, *, broken: bool) -> None:
        """Give a lease back, and keep its husk. Does not block."""
        with self._lock:
            is_empty = self._part(grant, broken=broken)
        self._put_back(grant, is_empty, broken=broken)

    def _part(self, grant: Grant, *, broken: bool) -> bool:
        """Empty the husk of *grant*; return whether it can be filled again."""
        if self.ended and not grant.ended:
            grant.cut(self.ended)
        return grant.part(None if self.ended else self._dead, broken=broken)

    def _put_back(self, grant: Grant, is_empty: bool, *, broken: bool) -> None:
        """Say that *grant* is returned; keep its husk, if that is empty."""
        if not grant.ended and (broken or not grant.is_gateway):
            # Otherwise the Terminate that the gateway has got says it, and in the right order.
            self._say(grant.release(broken=broken))
        husk = grant.husk
        if husk is not None and is_empty:
            self.keep_husk(husk)
        elif husk is not None:
            self.drop_husk(husk)

    def _say(self, request: SessionRequest) -> None:
        """Tell the service; one that is not there any more knows less, and takes all back."""
        try:
            self._tell(request)
        except ServiceUnavailable:
            return

    # -- husks ---------------------------------------------------------------------------------

    def take_husk(self, tenant: str) -> Husk | None:
        """A husk for a connection of *tenant*, or None."""
        with self._lock:
            husk = self._husks.take(tenant)
        if husk is not None and not husk.is_usable():
            self.drop_husk(husk)
            return None
        return husk

    def keep_husk(self, husk: Husk) -> None:
        """The *husk* is empty: keep it, perhaps in exchange for another. Does not block."""
        with self._lock:
            gone = husk if self.ended else self._husks.keep(husk)
        if gone is not None:
            self.drop_husk(gone)

    def drop_husk(self, husk: Husk) -> None:
        """The *husk* is empty, and cannot be filled again. Does not block."""
        husk.close()
        self._say(SessionRequest(discard=Discard(husks=[husk.number])))

    # -- what the service wants ----------------------------------------------------------------

    def recall(self, tenant: str, quiet: float) -> None:
        """Give parked leases back, of all tenants if *tenant* is empty; park none for a while."""
        self._counters.recalls += 1
        with self._lock:
            now = monotonic()
            self._quiet = {name: until for name, until in self._quiet.items() if until > now}
            self._quiet[tenant] = now + quiet
            grants = self._unpark_all(lambda grant: not tenant or grant.tenant == tenant)
        for grant in grants:
            self._return(grant, broken=False)

    def drain(self, lease_id: str) -> str:
        """The service wants a lease back (empty: all): do not park it. Return its tenant."""
        with self._lock:
            wanted = self._lent.get(lease_id)
            if wanted is not None:
                wanted.is_wanted = True
            elif not lease_id:
                self._is_draining = True
            grants = self._unpark_all(lambda grant: not lease_id or grant.lease_id == lease_id)
        for grant in grants:
            self._return(grant, broken=False)
        return next((grant.tenant for grant in (wanted, *grants) if grant and lease_id), "")

    def end_lease(self, lease_id: str, reason: str) -> None:
        """The service has ended a lease. Its holder's next use of it fails."""
        with self._lock:
            lent = self._lent.get(lease_id)
            grants = self._unpark_all(lambda grant: grant.lease_id == lease_id)
            for grant in grants if lent is None else [lent]:
                self._counters.ended += 1
                grant.cut(reason)
        for grant in grants:
            self._return(grant, broken=True)

    # -- time ----------------------------------------------------------------------------------

    def expire(self, now: float) -> float:
        """Give back what has been parked for long enough; return when to come again."""
        with self._lock:
            grants = self._unpark_all(lambda grant: grant.due <= now)
            due = min((grant.due for grant in self._all_parked()), default=inf)
        for grant in grants:
            self._return(grant, broken=False)
        return due

    def end(self, reason: str) -> None:
        """The session is over: cut what is in use, drop everything else. Does not block."""
        with self._lock:
            if self.ended:
                return
            self.ended = reason
            lent = list(self._lent.values())
            parked = self._unpark_all(lambda grant: True)
            for grant in (*lent, *parked):
                grant.cut(reason)
            for grant in parked:
                grant.part(None, broken=True)
            for husk in self._husks.clear():
                husk.close()
            self._dead.close()
        self._counters.ended += len(lent)
        if self.on_empty is not None:
            self.on_empty()

    def disown(self, lock: AbstractContextManager[object]) -> None:
        """This process is a fork: nothing of this is its own, and nothing is said or ended.

        A thread that is not there any more may have had the lock; *lock* takes its place.
        """
        self._lock = lock
        self.ended = "the session is of the parent process"
        for grant in (*self._lent.values(), *self._all_parked()):
            grant.disown(self._dead)
        for grant in self._unpark_all(lambda grant: True):
            grant.part(None, broken=True)
        for husk in self._husks.clear():
            husk.close()
        self._dead.close()

    def _all_parked(self) -> Iterator[Grant]:
        return (grant for grants in self._parked.values() for grant in grants)

    def _unpark_all(self, is_chosen: Callable[[Grant], bool]) -> list[Grant]:
        """Take the chosen ones out of those that are parked, the first first."""
        chosen = sorted((g for g in self._all_parked() if is_chosen(g)), key=lambda g: g.due)
        for grant in chosen:
            grants = self._parked[grant.tenant]
            grants.remove(grant)
            if not grants:
                del self._parked[grant.tenant]
        return chosen
