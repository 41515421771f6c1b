"""The alerts: what they ask for exists, each is tried, and promtool agrees."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.deploy.files import COMPOSE, DEPLOY, documents
from tests.deploy.promql import check

ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
TRIALS = DEPLOY / "prometheus" / "alerts.test.yaml"

RULES = [rule for group in documents(ALERTS)[0]["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in RULES]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed (Debian: apt install prometheus)",
)


def promtool(*words: str) -> None:
    done = subprocess.run(
        ["promtool", *words], cwd=ALERTS.parent, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_asks_for_metrics_and_labels_that_exist(rule):
    assert check(rule["expr"])


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(rule):
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert len(rule["annotations"]["description"]) > 150


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_words_of_an_alert_use_labels_that_its_expression_keeps(rule):
    kept = set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", rule["expr"]))))
    words = "".join(rule["annotations"].values())
    for label in re.findall(r"\$labels\.(\w+)", words):
        assert not kept or label in kept, f"{rule['alert']}: {label}"


def test_no_metric_has_two_alerts_of_one_name():
    assert len(NAMES) == len(set(NAMES)) == 10


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tried_firing_and_quiet(name):
    trials = documents(TRIALS)[0]["tests"]
    rules = [trial for test in trials for trial in test.get("alert_rule_test", ())]
    expressions = [trial for test in trials for trial in test.get("promql_expr_test", ())]
    fires = [trial for trial in rules if trial["alertname"] == name and "exp_alerts" in trial]
    fires += [t for t in expressions if f'"{name}"' in t["expr"] and "exp_samples" in t]
    quiet = [trial for trial in rules if trial["alertname"] == name and "exp_alerts" not in trial]
    assert fires
    assert quiet


@needs_promtool
def test_promtool_accepts_the_rules_and_they_fire_when_they_should():
    promtool("check", "rules", ALERTS.name)
    promtool("test", "rules", TRIALS.name)


@needs_promtool
def test_promtool_accepts_the_configuration_of_compose(tmp_path):
    for path in (COMPOSE / "prometheus.yml", ALERTS):
        shutil.copy(path, tmp_path)
    promtool("check", "config", str(tmp_path / "prometheus.yml"))


def test_the_scrape_job_is_the_one_that_the_alerts_look_for():
    (job,) = documents(COMPOSE / "prometheus.yml")[0]["scrape_configs"]
    (down,) = (rule for rule in RULES if rule["alert"] == "TenantpoolDown")
    assert f'job="{job["job_name"]}"' in down["expr"]
