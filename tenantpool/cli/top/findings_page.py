"""What the page of the findings looks like."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from tenantpool.cli.findings import NOTHING, Ranking, details, figures, headline
from tenantpool.cli.health import STYLES
from tenantpool.cli.tables import line_of
from tenantpool.cli.top.inquiry import Told
from tenantpool.cli.top.view import View
from tenantpool.observe.figures import plural
from tenantpool.v1.admin_service_pb2 import FindingState, ListFindingsResponse

_FIRST = {
    Ranking.LATEST: "the latest first",
    Ranking.TIMES: "those found most often first",
    Ranking.LONGEST: "those that took longest first",
    Ranking.KIND: "by kind",
    Ranking.TENANT: "by tenant",
}
_INDENT = 4


def findings_page(view: View, told: Told) -> RenderableType:
    """What query insight has found, as far as it was told."""
    found = told.findings
    parts: list[RenderableType] = [_title(view, found)]
    if told.topic == view.topic and told.problem:
        parts.append(Text(f"no news: {line_of(told.problem)}", STYLES["critical"]))
    if found is None:
        return Group(*parts)
    for finding in found.findings:
        parts += _lines(finding)
    if not found.findings:
        parts.append(Text("\nno finding is like that" if view.contains else f"\n{NOTHING}", "dim"))
    return Group(*parts)


def _title(view: View, found: ListFindingsResponse | None) -> Text:
    text = Text.assemble(("Findings", "bold"), f", {_FIRST[view.ranking]}")
    if view.contains:
        text.append(f", of or at {view.contains!r}")
    if found is None:
        text.append(" ...")
        return text
    shown, total = len(found.findings), found.findings_found
    text.append(f": {plural(total, 'finding')}")
    if total > shown:
        text.append(f", the first {shown:,} of them (/ filters)")
    return text


def _lines(finding: FindingState) -> Iterator[RenderableType]:
    yield Text.assemble(
        "\n",
        (finding.kind, STYLES["warning"]),
        "  ",
        (headline(finding), "bold"),
        (f"  {figures(finding)}", "dim"),
    )
    for name, words in details(finding):
        line = Text.assemble((f"{name} ", "dim"), words)
        yield Padding(line, (0, 0, 0, _INDENT))
