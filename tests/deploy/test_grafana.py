"""The dashboard: its queries are good, and its panels lie beside each other."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest

from tests.deploy.contract import labels_of
from tests.deploy.files import COMPOSE, DEPLOY, documents
from tests.deploy.promql import check

BOARD = json.loads((DEPLOY / "grafana" / "tenantpool.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in BOARD["templating"]["list"]}


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel["targets"]]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_asks_for_metrics_and_labels_that_exist(panel):
    for expression in expressions(panel):
        assert check(expression.replace("$__rate_interval", "5m"))
        used = set(re.findall(r"\$(\w+)", expression)) - {"__rate_interval"}
        assert used <= VARIABLES.keys()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_explained_and_takes_the_chosen_data_source(panel):
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    for source in (panel, *panel["targets"]):
        assert source["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_the_query_keeps(panel):
    for target in panel["targets"]:
        kept = set(re.findall(r"\w+", "".join(re.findall(r"by \(([^)]*)\)", target["expr"]))))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= kept


def test_the_counters_are_shown_as_rates():
    for panel in PANELS:
        for expression in expressions(panel):
            for metric in re.findall(r"\w+_(?:total|bucket)\b", expression):
                shown = re.search(rf"(rate|increase)\({metric}", expression)
                assert shown or metric == "tenantpool_overshoot_total", expression


def test_the_panels_do_not_overlap():
    def box(panel: dict[str, Any]) -> tuple[int, int, int, int]:
        at = panel["gridPos"]
        return at["x"], at["y"], at["x"] + at["w"], at["y"] + at["h"]

    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    for panel in BOARD["panels"]:
        assert 0 <= box(panel)[0] < box(panel)[2] <= 24
    for one, other in combinations(BOARD["panels"], 2):
        a, b = box(one), box(other)
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one['title']} and {other['title']}"


def test_the_variables_are_labels_of_their_metrics():
    for variable in VARIABLES.values():
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"])
            assert found is not None
            assert found[2] in labels_of(found[1])


def test_compose_provides_the_dashboard_and_its_data_source():
    provisioning = COMPOSE / "grafana" / "provisioning"
    (source,) = documents(provisioning / "datasources" / "prometheus.yaml")[0]["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = documents(provisioning / "dashboards" / "tenantpool.yaml")[0]["providers"]
    mounts = documents(COMPOSE / "compose.yaml")[0]["services"]["grafana"]["volumes"]
    assert f"../grafana:{provider['options']['path']}:ro" in mounts
