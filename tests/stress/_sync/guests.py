# Generated from ../_async/guests.py by tools/generate_sync.py: do not edit.
"""Guests: workers that use a manager as applications do, well and badly."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import psycopg

from tenantpool import Manager
from tenantpool.embedded.server import StopMode
from tenantpool.errors import LeaseEnded, Refused
from tests.stress.crowd import Operator
from tests.support.dice import Dice
from tests.support.wait import TIMEOUT

LONGEST_VISIT = 0.02
"""Seconds; a visit that is cancelled is so before."""


class Oops(Exception):
    """What an application raises."""


class Guest:
    """Visits one tenant after the other. ``endings`` counts how its visits ended."""

    def __init__(self, manager: Manager, dice: Dice) -> None:
        self.endings: Counter[str] = Counter()
        self._manager = manager
        self._dice = dice
        self._tenants = sorted(manager.settings.tenants)

    def stay(self, host: Host) -> None:
        """Visit until *host* has left, and then until a visit goes well."""
        while not host.has_left:
            self._visit()
        end = monotonic() + TIMEOUT
        while self._visit() != "done":
            assert monotonic() < end, f"not served again in {TIMEOUT:g} s: {self.endings}"

    def _visit(self) -> str:
        ending = self._try()
        self.endings[ending] += 1
        return ending

    def _try(self) -> str:
        do = self._dice.choice(_HABITS)
        error: BaseException | None = None
        try:
            do(self, **self._wish())
        except Exception as raised:
            error = raised
        if error is None:
            return "done"
        if not isinstance(error, (Refused, LeaseEnded, Oops, psycopg.Error)):
            raise error
        time.sleep(0.005)  # who is refused at once comes back later
        return type(error).__name__

    def _wish(self) -> dict[str, Any]:
        dice = self._dice
        return {
            "tenant": dice.choice(self._tenants),
            "timeout": dice.choice([None, 0, 0.001, 0.02, 0.5]),
            "priority": dice.choice([0, 0, 0, 1, -1]),
        }

    # -- habits --------------------------------------------------------------------------------

    def _run(self, statement: str, **wish: Any) -> None:
        with self._manager.connection(**wish) as conn:
            conn.execute(statement.encode())

    def look(self, **wish: Any) -> None:
        self._run("select 1", **wish)

    def linger(self, **wish: Any) -> None:
        self._run("select pg_sleep(0.01)", **wish)

    def do_nothing(self, **wish: Any) -> None:
        with self._manager.connection(**wish):
            pass

    def make_a_mistake(self, **wish: Any) -> None:
        self._run("select 1 / 0", **wish)

    def run_out_of_time(self, **wish: Any) -> None:
        self._run("set local statement_timeout = 5; select pg_sleep(5)", **wish)

    def die(self, **wish: Any) -> None:
        self._run("select pg_terminate_backend(pg_backend_pid())", **wish)

    def raise_in_a_transaction(self, **wish: Any) -> None:
        with self._manager.transaction(**wish) as conn:
            conn.execute("create temporary table scratch (id int)")
            raise Oops

    def close_it(self, **wish: Any) -> None:
        with self._manager.connection(**wish) as conn:
            conn.close()

    def leave_a_transaction_open(self, **wish: Any) -> None:
        conn = self._manager.acquire(**wish)
        try:
            conn.execute("select 1")
        finally:
            self._manager.release(conn)

    def leave_a_statement_running(self, **wish: Any) -> None:
        with self._manager.connection(**wish) as conn:
            conn.pgconn.send_query(b"select pg_sleep(0.05)")

    def ask_for_one_row(self, tenant: str, timeout: float | None, priority: int) -> None:
        result = self._manager.execute(tenant, "select 1", timeout=timeout)
        assert result.fetchone() == (1,)

    def be_greedy(self, **wish: Any) -> None:
        with self._manager.connection(**wish) as conn:
            conn.execute("select 1")
            self.look(**wish | {"timeout": 0.01})


_HABITS: list[Callable[..., None]] = [
    *[Guest.look, Guest.linger, Guest.do_nothing] * 4,
    Guest.make_a_mistake,
    Guest.run_out_of_time,
    Guest.die,
    Guest.raise_in_a_transaction,
    Guest.close_it,
    Guest.leave_a_transaction_open,
    Guest.leave_a_statement_running,
    Guest.ask_for_one_row,
    Guest.be_greedy,
]


class Host:
    """Does all an operator can do, at random. ``has_left`` tells when it has done enough."""

    def __init__(self, manager: Manager, operator: Operator, dice: Dice) -> None:
        self._manager = manager
        self._operator = operator
        self._dice = dice
        self._tenants = sorted(manager.settings.tenants)
        self.has_left = False

    def meddle(self, seconds: float, *, restarts: Sequence[StopMode] = ()) -> None:
        """Disturb the guests, and restart the server in each of the ways of *restarts*.

        That takes *seconds*, or for as long as the restarts take.
        """
        start = monotonic()
        pending = list(restarts)
        try:
            while (passed := monotonic() - start) < seconds or pending:
                time.sleep(0.01)
                if pending and passed > seconds * 0.6 / len(pending):
                    self._restart(pending.pop())
                with suppress(psycopg.OperationalError):
                    self._disturb()
        finally:
            self.has_left = True

    def _restart(self, how: StopMode) -> None:
        self._operator.restart(how)

    def _disturb(self) -> None:
        manager, dice = self._manager, self._dice
        tenant = dice.choice(self._tenants)
        match dice.randrange(8):
            case 0:
                manager.evict(tenant)
            case 1:
                manager.drain(tenant, timeout=0.01)
                time.sleep(0.01)
                manager.resume(tenant)
            case 2:
                if leases := manager.leases():
                    manager.revoke(dice.choice(leases))
            case 3:
                self._operator.kill_one(dice)
            case 4:
                self._shrink()
            case 5:
                manager.warmup([tenant], timeout=0.01)
            case 6:
                manager.reset_breaker(tenant)
            case 7:
                manager.health()

    def _shrink(self) -> None:
        """Take some of the capacity away for a moment."""
        shell = self._manager._shells["main"]
        capacity = shell.core.limits.capacity
        shell.step(shell.core.set_capacity, self._dice.randrange(1, capacity))
        time.sleep(0.02)
        shell.step(shell.core.set_capacity, capacity)
