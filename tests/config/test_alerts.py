"""The section ``alerts``, and ``autoscale`` in a tier: what is refused, and what is in force."""

from __future__ import annotations

from typing import Any

import pytest

from tenantpool import ConfigError, Settings
from tenantpool.config.plan import plan
from tenantpool.config.roster import Roster
from tenantpool.config.show import effective_yaml
from tenantpool.core.autoscale import AutoscaleLimits


def settings(**more: Any) -> Settings:
    return Settings(databases={"main": {"conninfo": "host=db"}}, **more)


def problem(**more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        settings(**more)
    return str(caught.value)


def scaled(tier: dict[str, Any] | None = None, **autoscale: Any) -> dict[str, Any]:
    values = {"cap": 10, "autoscale": {"floor": 5, "ceiling": 20} | autoscale}
    return {"tiers": {"basic": values | (tier or {})}}


# -- alerts ----------------------------------------------------------------------------------------


def test_a_rule_is_changed_field_by_field() -> None:
    rules = settings(alerts={"wait_too_long": {"above": 0.5}, "leaks": None}).alerts.rules
    assert (rules["WaitTooLong"].after, rules["WaitTooLong"].enabled) == (300, True)
    assert rules["Leaks"].after == 0


def test_what_is_critical_by_default_can_be_a_warning() -> None:
    assert settings().alerts.overshoot.severity == "critical"
    assert settings(alerts={"overshoot": {"severity": "warning"}}).alerts.rules[
        "Overshoot"
    ].severity == ("warning")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://of-the-receiver/",
        "of-the-receiver",
        "https://",
        "file:///of-the-receiver",
        "https://x/of-the receiver",
        "https://x:y/of-the-receiver",
        "https://bücher.example/of-the-receiver",
        "https://user:of-the-receiver@x/",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    said = problem(alerts={"webhooks": {"ops": {"url": url}}})
    assert "alerts.webhooks.ops.url: must " in said
    assert "of-the-receiver" not in said


def test_a_secret_that_could_be_found_by_trying_is_refused_without_being_shown() -> None:
    said = problem(alerts={"webhooks": {"ops": {"url": "https://x/", "secret": "short"}}})
    assert "must have at least 16 characters" in said
    assert "short" not in said


def test_neither_url_nor_secret_is_shown() -> None:
    webhook = {"url": "https://x/of-the-receiver", "secret": "of-the-receiver!"}
    made = settings(alerts={"webhooks": {"ops": webhook}})
    assert "of-the-receiver" not in effective_yaml(made) + repr(made.alerts)
    changes = plan(Roster(made), Roster(settings()))
    assert "of-the-receiver" not in str(changes)


def test_an_unknown_rule_is_refused_with_what_was_meant() -> None:
    assert "did you mean saturated?" in problem(alerts={"saturatd": {}})


def test_alerts_change_live() -> None:
    after = settings(alerts={"saturated": {"above": 0.5}})
    [change] = plan(Roster(settings()), Roster(after)).changes
    assert str(change) == "alerts.saturated.above 0.9 → 0.5"
    assert change.live


# -- autoscale -------------------------------------------------------------------------------------


def test_a_tier_scales_as_it_is_written() -> None:
    limits = settings(**scaled()).tenant("acme").limits
    assert limits.autoscale == AutoscaleLimits(floor=5, ceiling=20)
    assert settings().tenant("acme").limits.autoscale is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (scaled(floor=21), "floor 21 is more than ceiling 20"),
        (scaled(down_at=0.5), "down_at 0.5 is more than half of up_at 0.8"),
        (scaled({"cap": 3}), "5 to 20 does not include cap 3"),
        (scaled({"cap": 21}), "5 to 20 does not include cap 21"),
        (scaled({"min_size": 6}), "5 + overflow 0 is less than min_size 6"),
        (
            scaled({"guarantee": 6}) | {"template": {"enabled": False}},
            "5 is less than guarantee 6",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(values: dict[str, Any], said: str) -> None:
    assert said in problem(**values)


def test_a_change_of_scaling_is_told_in_words() -> None:
    before, after = settings(**scaled()), settings(**scaled(ceiling=30))
    [change] = plan(Roster(before), Roster(after), ["acme"]).changes
    assert "ceiling 20 → 30" in change.text
