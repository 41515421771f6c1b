"""What the benchmarks have found: as a table, as JSON, and as markdown for the README."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.measure import Effort, Figure, Result

FOLDER = Path(__file__).with_name("results")
"""Of full runs; that of the others is a folder inside."""
PROJECT_PAGE = FOLDER.parents[1] / "README.md"
BEGIN = "<!-- figures: begin (written by `make bench`) -->\n"
END = "<!-- figures: end -->\n"
WIDTH = 140

_STYLES = {"ok": "green", "missed": "bold red"}


def show(results: list[Result], facts: Mapping[str, str]) -> None:
    """Print every figure beside its target."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    for result in results:
        table = Table(title=result.title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
        table.add_column("What")
        table.add_column("Figure")
        table.add_column("Target", no_wrap=True)
        table.add_column("", no_wrap=True)
        for figure in result.figures:
            verdict = Text(figure.verdict, style=_STYLES.get(figure.verdict, ""))
            table.add_row(Text(figure.what), Text(figure.value), figure.target or "", verdict)
        console.print(table)
    console.print(_in_words(facts), highlight=False)
    verdicts = [figure.verdict for result in results for figure in result.figures]
    met, missed = verdicts.count("ok"), verdicts.count("missed")
    style = "bold red" if missed else "bold green"
    console.print(f"{met} targets met, {missed} missed", style=style, highlight=False)


def save(results: list[Result], facts: Mapping[str, str], effort: Effort) -> None:
    """Write a JSON file for each result."""
    folder = FOLDER if effort is Effort.FULL else FOLDER / effort
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        everything = {
            "effort": effort,
            "date": _today(),
            "machine": dict(facts),
            **result.as_json(),
        }
        text = json.dumps(everything, indent=1, ensure_ascii=False)
        (folder / f"{result.name}.json").write_text(f"{text}\n")


def publish(names: Iterable[str]) -> None:
    """Show the last full run of each benchmark: as a page of its own, and shortly in the README."""
    texts = [(FOLDER / f"{name}.json").read_text() for name in names]
    saved = [json.loads(text) for text in texts]
    results = [
        Result(one["name"], one["title"], [Figure(**f) for f in one["figures"]], one["notes"])
        for one in saved
    ]
    dates = sorted({one["date"] for one in saved})
    about = f"{_in_words(saved[-1]['machine'])}. {' to '.join(dates[:1] + dates[1:][-1:])}."
    (FOLDER / "README.md").write_text(markdown(results, about))
    text = PROJECT_PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PROJECT_PAGE.write_text(f"{before}{BEGIN}{summary(results, about)}{END}{after}")


def markdown(results: list[Result], about: str) -> str:
    """All figures and notes, as a page."""
    lines = ["# Benchmarks", "", about]
    for result in results:
        lines += ["", f"## {result.title}", "", "| What | Figure | Target | |", "|---|---|---|---|"]
        lines += [*map(_row, result.figures), "", *result.notes]
    return "\n".join([*lines, ""])


def summary(results: list[Result], about: str) -> str:
    """The headline figures in one table."""
    lines = [about, "", "| | Figure | Target | |", "|---|---|---|---|"]
    for result in results:
        lines.append(f"| **{result.title}** | | | |")
        lines += [_row(figure) for figure in result.figures if figure.headline]
    return "\n".join([*lines, ""])


def _row(figure: Figure) -> str:
    cells = (figure.what, figure.value, figure.target or "", figure.verdict)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _in_words(facts: Mapping[str, str]) -> str:
    """``CPU x, cores 2, ...``"""
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
