"""The service's own alerts and those for Prometheus are the same, as far as they can be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tenantpool.config.alerts import Alerts, Rule
from tests.deploy.test_prometheus import RULES

OURS = Alerts().rules
THEIRS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in RULES}

ONLY_THERE = {"TenantpoolDown": "a service that is down cannot tell anybody"}
WITH_THRESHOLD = [name for name, rule in OURS.items() if "above" in rule.model_dump()]

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(duration: str) -> float:
    """A duration of Prometheus, such as ``1h30m``."""
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smh])", duration))


def test_each_has_its_counterpart_or_a_reason_why_not() -> None:
    ours = {f"Tenantpool{name}" for name in OURS}
    assert THEIRS.keys() == ours | ONLY_THERE.keys()


@pytest.mark.parametrize(("name", "rule"), OURS.items())
def test_both_fire_and_resolve_after_the_same_time_and_are_as_severe(name: str, rule: Rule) -> None:
    theirs = THEIRS[f"Tenantpool{name}"]
    assert seconds(theirs.get("for", "0s")) == rule.after
    assert seconds(theirs.get("keep_firing_for", "0s")) == rule.resolve_after
    assert theirs["labels"] == {"severity": rule.severity}


@pytest.mark.parametrize("name", WITH_THRESHOLD)
def test_both_have_the_same_threshold(name: str) -> None:
    main, *_ = re.split(r"\sand\s", THEIRS[f"Tenantpool{name}"]["expr"])
    threshold = re.findall(r"> ([0-9.]+)", main)[-1]
    assert float(threshold) == OURS[name].model_dump()["above"]


def test_leaks_are_told_of_for_the_same_time() -> None:
    [window] = re.findall(r"\[(\w+)\]", THEIRS["TenantpoolLeaks"]["expr"])
    assert seconds(window) == Alerts().leaks.within
