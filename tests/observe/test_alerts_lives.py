"""Every alert of a service, from fine to ill to fine again, with its own rule and a fake clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tenantpool.config.alerts import Alerts as Rules
from tenantpool.core.tally import BOUNDS
from tenantpool.observe.alerts.board import FIRING, RESOLVED
from tenantpool.observe.alerts.sight import DatabaseSight, Sight, TierSight
from tenantpool.observe.alerts.watch import Alerts

EPOCH = 1_700_000_000.0
STEP = 5
FINE = DatabaseSight(10, 5, 0, 0, "closed", "", [], evictions=0, overshoots=0)
BUCKETS = len(BOUNDS) + 1

ILL: dict[str, dict[str, Any]] = {
    "WaitTooLong": {"slow": 1000},
    "Saturated": {"database": {"in_use": 10, "waiting": 3}},
    "BreakerOpen": {"database": {"breaker": "open", "error": "refused"}},
    "TenantBreakersOpen": {"database": {"shut": [("acme", "refused")]}},
    "Leaks": {"leaks": 1},
    "Refusals": {"refused": 1000},
    "ReloadFailed": {"problem": "no capacity"},
    "SlotLeak": {"database": {"closing": 1}},
    "Overshoot": {"database": {"overshoots": 1}},
}
"""What is so at each look while it is ill."""


def test_the_life_of_every_alert_is_tried() -> None:
    assert ILL.keys() == Rules().rules.keys()


class Service:
    """A service that is looked at every five seconds; its sums only grow."""

    def __init__(self) -> None:
        self.now = 0
        self.alerts = Alerts(SimpleNamespace(settings=SimpleNamespace(alerts=Rules())))  # type: ignore[arg-type]
        self._tier = TierSight(waits=[0] * BUCKETS)

    def look(
        self,
        seconds: float,
        *,
        slow: int = 0,
        refused: int = 0,
        leaks: int = 0,
        problem: str = "",
        database: dict[str, Any] | None = None,
    ) -> Iterator[tuple[str, str, int]]:
        """What is told in so many seconds, each with its time."""
        for _ in range(0, int(seconds), STEP):
            self.now += STEP
            waits = list(self._tier.waits)
            waits[0] += 100
            waits[-1] += slow
            before = self._tier
            self._tier = TierSight(
                before.leases + 100, before.refused + refused, before.leaks + leaks, waits
            )
            sight = Sight(
                {"main": replace(FINE, **(database or {}))},
                {("main", "basic"): self._tier},
                problem,
            )
            for alert in self.alerts.look(self.now, EPOCH + self.now, sight):
                yield alert.name, alert.state, self.now


@pytest.mark.parametrize("name", ILL)
def test_it_fires_once_after_its_time_and_is_resolved_once_when_it_is_over(name: str) -> None:
    service, rule = Service(), Rules().rules[name]
    assert list(service.look(600)) == []
    [fired] = service.look(rule.after + 300, **ILL[name])
    assert fired == (name, FIRING, 600 + STEP + rule.after)
    [alert] = service.alerts.firing()
    assert (alert.since, alert.fired_at) == (EPOCH + 600 + STEP, EPOCH + fired[2])
    over = service.now
    [resolved] = service.look(1500)
    assert resolved[:2] == (name, RESOLVED)
    assert resolved[2] >= over + rule.resolve_after
    assert (service.alerts.firing(), service.alerts.pending()) == ([], [])


@pytest.mark.parametrize("name", [name for name in ILL if Rules().rules[name].after])
def test_before_its_time_it_is_pending_and_nobody_is_told(name: str) -> None:
    service, rule = Service(), Rules().rules[name]
    list(service.look(600))
    assert list(service.look(rule.after - STEP, **ILL[name])) == []
    assert service.alerts.pending() != []
