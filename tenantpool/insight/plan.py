"""Reads a plan, as EXPLAIN (FORMAT JSON) gives it, and says in words what is wrong with it.

Costs are in PostgreSQL's unit: reading one page in order is 1.0. What only a run can tell (rows
removed, estimates) is there after EXPLAIN (ANALYZE, FORMAT JSON).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tenantpool.insight.shape import shape_of

Node = Mapping[str, Any]

_COSTLY_PLAN = 10_000
_COSTLY_SORT = 1_000
_SMALL_SCAN = 100
"""Below this, a table of some pages is read fastest as a whole."""
_COSTLY_LOOP = 1_000
_MANY_LOOPS = 100
_MANY_REMOVED = 1_000
_MOSTLY = 10
"""How many rows are thrown away for one that is kept."""
_FAR = 10
_FEW = 100
"""A difference of so few rows does not matter, however large the ratio."""

_SHOWN = 200
"""Characters of a condition."""


class Remark(NamedTuple):
    """*what* is wrong, and the *fix*. It holds no value of the statement."""

    what: str
    fix: str


def read_plan(document: Sequence[Node] | Node, rows: int = -1) -> list[Remark]:
    """What is wrong with a plan, worst first; nothing if it is fine.

    *document* is EXPLAIN's JSON, loaded; *rows*: how many the statement really gave, if it was
    not run by EXPLAIN and that is known. Raises KeyError if it is no plan.
    """
    root: Node = (document[0] if isinstance(document, Sequence) else document)["Plan"]
    nodes = list(_nodes(root))
    remarks = [*_cost(root), *_estimates(nodes, root, rows)]
    for node, _ in nodes:
        remarks += (*_removed(node), *_scan(node), *_sort(node), *_loop(node))
    return list(dict.fromkeys(remarks))


def _nodes(node: Node, under_limit: bool = False) -> Iterator[tuple[Node, bool]]:
    """Every node from the root down, and whether it may be stopped early."""
    yield node, under_limit
    stops = under_limit or node["Node Type"] == "Limit"
    for child in node.get("Plans", ()):
        yield from _nodes(child, stops)


def _below(node: Node) -> list[Node]:
    return [below for below, _ in _nodes(node)][1:]


def _cost(root: Node) -> Iterator[Remark]:
    if root["Total Cost"] > _COSTLY_PLAN:
        yield Remark(
            f"cost: the plan is estimated at {root['Total Cost']:,.0f}, above {_COSTLY_PLAN:,}",
            "ask for fewer rows, index what is filtered and joined, or keep the result"
            " (a materialized view, a cache)",
        )


def _scan(node: Node) -> Iterator[Remark]:
    if node["Node Type"] != "Seq Scan" or node["Total Cost"] < _SMALL_SCAN:
        return
    where = node.get("Filter")
    what = f"Seq Scan of {_table(node)}: all of it is read, at a cost of {node['Total Cost']:,.0f}"
    if where is None:
        yield Remark(what, "ask for the rows that are needed: a condition with an index, or LIMIT")
    else:
        yield Remark(
            f"{what}, for an estimated {_rows(node['Plan Rows'])}",
            f"index the columns of its condition {_condition(where)}",
        )


def _sort(node: Node) -> Iterator[Remark]:
    if node["Node Type"] not in ("Sort", "Incremental Sort"):
        return
    own = node["Total Cost"] - sum(child["Total Cost"] for child in node.get("Plans", ()))
    if own > _COSTLY_SORT:
        keys = _condition(", ".join(node.get("Sort Key", ())))
        yield Remark(
            f"Sort by {keys}: {_rows(node['Plan Rows'])} at a cost of {own:,.0f},"
            f" above {_COSTLY_SORT:,}",
            f"an index on ({keys}) gives this order; LIMIT keeps few rows;"
            " a higher work_mem keeps it in memory",
        )


def _loop(node: Node) -> Iterator[Remark]:
    if node["Node Type"] != "Nested Loop" or len(node.get("Plans", ())) != 2:
        return
    outer, inner = node["Plans"]
    if outer["Plan Rows"] >= _MANY_LOOPS and node["Total Cost"] >= _COSTLY_LOOP:
        yield Remark(
            f"Nested Loop: {_table(inner)} is looked at once for each of an estimated"
            f" {_rows(outer['Plan Rows'])}",
            f"index the columns that {_table(inner)} is joined by, compare columns of one type"
            " for a hash join, or run ANALYZE if so many rows are a wrong estimate",
        )


def _removed(node: Node) -> Iterator[Remark]:
    loops = node.get("Actual Loops", 1)
    kept = node.get("Actual Rows", 0) * loops
    for name in ("Filter", "Join Filter"):
        removed = node.get(f"Rows Removed by {name}", 0) * loops
        if removed >= _MANY_REMOVED and removed >= _MOSTLY * kept:
            yield Remark(
                f"rows removed by filter at {_title(node)}: {_rows(removed)} were read"
                f" and thrown away to keep {kept:,.0f}",
                f"index the columns of its condition {_condition(node.get(name, ''))}",
            )


def _estimates(nodes: Sequence[tuple[Node, bool]], root: Node, rows: int) -> Iterator[Remark]:
    """The estimate that is farthest off, of those that can't be blamed on a node below."""
    known = [
        (_ratio(node["Plan Rows"], node["Actual Rows"], stops), node, node["Actual Rows"])
        for node, stops in nodes
        if node.get("Actual Loops")
    ]
    if not known and rows >= 0:
        known = [(_ratio(root["Plan Rows"], rows, False), root, rows)]
    wrong = {id(node): (ratio, node, actual) for ratio, node, actual in known if ratio >= _FAR}
    first = [it for it in wrong.values() if not any(id(n) in wrong for n in _below(it[1]))]
    for ratio, node, actual in sorted(first, key=lambda it: it[0])[-1:]:
        yield Remark(
            f"estimate at {_title(node)}: {_rows(node['Plan Rows'])} expected, {actual:,.0f} came,"
            f" {ratio:,.0f} times off",
            "run ANALYZE on its tables; CREATE STATISTICS for columns that depend on each other;"
            " a higher statistics target for uneven ones",
        )


def _ratio(plan: float, actual: float, stops: bool) -> float:
    """How far the *plan* is off; a node that *stops* early may well give less."""
    if abs(plan - actual) < _FEW or (stops and actual < plan):
        return 0.0
    return max(plan, actual) / max(1.0, min(plan, actual))


def _title(node: Node) -> str:
    table = node.get("Relation Name")
    return f"{node['Node Type']} of {table}" if table else str(node["Node Type"])


def _table(node: Node) -> str:
    """The table that a node reads, be it by a node below."""
    for below, _ in _nodes(node):
        if table := below.get("Relation Name"):
            return str(table)
    return str(node["Node Type"])


def _condition(text: str) -> str:
    shape = shape_of(text)
    return shape if len(shape) <= _SHOWN else f"{shape[: _SHOWN - 1]}…"


def _rows(count: float) -> str:
    return f"{count:,.0f} row{'' if count == 1 else 's'}"
