"""Workers of all kinds at once, killed, stopped, cancelled and cut off at random.

The server has no connection to spare, so it would refuse what is beyond the capacity.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from tests.service_faults.conftest import Clerk, OpenPuppet
from tests.service_faults.house import House
from tests.service_faults.puppet import Puppet
from tests.stress.crowd import ADMITTED, SECONDS
from tests.support.dice import Dice

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("threads", {"delivery": "hand-off"}),
    ("threads", {"linger": 0.2}),
    ("threads", {"delivery": "gateway"}),
    ("threads", {"delivery": "direct"}),
    ("tasks", {"linger": 0.2, "tasks": True}),
    ("tasks", {"delivery": "gateway", "tasks": True}),
    ("calls", {}),
]
ORDERS = {
    "threads": "crowd_in(client, {tenants}, {stop!r}, {seed!r}, timeout=5)",
    "tasks": "await crowd_in_tasks(client, {tenants}, {stop!r}, {seed!r}, timeout=5)",
    "calls": "crowd_in_by_calls({target!r}, {port}, {tenants}, {stop!r}, {seed!r})",
}
MOST_KILLED = 4
"""To start a process takes the time of many leases."""
EXPECTED = {
    *{
        "done",
        "QueryCanceled",
        "cancelled",
        "Oops",
        "AdminShutdown",
        "OperationalError",
        "LeaseEnded",
    },
    *{"TenantLimit", "DatabaseLimit", "TenantQueueFull", "QueueFull", "lost"},
}


class Kitchen:
    """Starts workers, and disturbs them."""

    def __init__(self, house: House, puppets: OpenPuppet, dice: Dice, stop: Path) -> None:
        self.stop = stop
        self._house = house
        self._puppets = puppets
        self._dice = dice
        self._started = 0
        self.crew = [puppets(**options) for _, options in KINDS]
        for worker in self.crew:
            worker.be_ready()
        self._end = monotonic() + SECONDS
        for worker, (kind, _) in zip(self.crew, KINDS, strict=True):
            self._begin(worker, kind)

    @property
    def left(self) -> float:
        """Seconds until the soup is done."""
        return self._end - monotonic()

    def _begin(self, worker: Puppet, kind: str) -> None:
        """Let a worker begin, as one of that *kind*."""
        self._started += 1
        order = ORDERS[kind].format(
            tenants=ADMITTED,
            stop=str(self.stop),
            seed=f"soup {self._started}",
            target=self._house.tcp,
            port=self._house.gateway_port,
        )
        worker.start(order)

    def meddle(self, clerk: Clerk) -> None:
        """Disturb until the end, and let it be the end."""
        dice = self._dice
        kills = MOST_KILLED
        while self.left > 0:
            sleep(0.05)
            match dice.randrange(8):
                case 0 if kills:
                    kills -= 1
                    self.crew.pop(dice.randrange(len(self.crew))).kill()
                    kind, options = dice.choice(KINDS)
                    self.crew.append(self._puppets(**options))
                    self._begin(self.crew[-1], kind)
                case 1:
                    self._pause(dice.choice(self.crew), dice.choice([0.02, 0.5]))
                case 2:
                    self._house.ask("revoke", dice.choice(ADMITTED), dice.choice([0.0, 0.1]))
                case 3:
                    self._end_one(clerk, "pg_terminate_backend")
                case _:
                    self._end_one(clerk, "pg_cancel_backend")

        self.stop.touch()

    def _pause(self, worker: Puppet, seconds: float) -> None:
        worker.stop()
        sleep(seconds)
        worker.go_on()

    def _end_one(self, clerk: Clerk, how: str) -> None:
        if pids := sorted(clerk.pids()):
            clerk.ask(f"select {how}(%s)", self._dice.choice(pids))


def test_the_limit_is_kept_and_nothing_is_lost(
    house: House, puppets: OpenPuppet, clerk: Clerk, tmp_path: Path
):
    kitchen = Kitchen(house, puppets, Dice("soup of services"), tmp_path / "stop")
    kitchen.meddle(clerk)
    outcomes: Counter[str] = Counter()
    for worker in kitchen.crew:
        outcomes.update(worker.finish())
    assert outcomes["done"] > 20 * SECONDS, outcomes
    assert set(outcomes) <= EXPECTED, outcomes
