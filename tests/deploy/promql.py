"""What an expression of PromQL asks for."""

from __future__ import annotations

import promql_parser as promql

from tests.deploy.contract import STATES, labels_of


def check(expression: str) -> set[str]:
    """The metrics of *expression*; fails if one of them, or a label, is not in the contract."""
    nodes: list[promql.Expr] = []
    promql.walk(promql.parse(expression), pre_visit=lambda node: nodes.append(node))
    selectors = [node for node in nodes if isinstance(node, promql.VectorSelector)]
    selectors += [n.vector_selector for n in nodes if isinstance(n, promql.MatrixSelector)]
    known: set[str] = set()
    for selector in selectors:
        assert selector.name is not None, f"{expression}: a selector without a name"
        known |= labels_of(selector.name)
        for matcher in selector.matchers.matchers:
            assert matcher.name in labels_of(selector.name), f"{selector}: {matcher.name}"
            assert matcher.name != "state" or matcher.value in STATES, f"{selector}: no such state"
    for node in nodes:
        assert set(_grouping(node)) <= known, f"{expression}: {_grouping(node)}"
    return {selector.name or "" for selector in selectors}


def _grouping(node: promql.Expr) -> list[str]:
    """The labels that an aggregation groups by, or that two sides are matched on."""
    if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
        return node.modifier.labels
    if isinstance(node, promql.BinaryExpr) and node.modifier is not None:
        return node.modifier.matching.labels if node.modifier.matching is not None else []
    return []
