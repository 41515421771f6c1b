"""Tables for people, at a terminal or in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_WIDTH = 160
"""Columns where there is no terminal."""


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Numbers to the right, words to the left; the first column in bold."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH, no_color=True)
    cells = list(rows)
    table = Table(box=SIMPLE)
    for number, head in enumerate(heads):
        is_number = bool(cells) and all(isinstance(row[number], int) for row in cells)
        table.add_column(
            head, style="bold" if number == 0 else "", justify="right" if is_number else "left"
        )
    for row in cells:
        table.add_row(*(str(cell) for cell in row))
    console.print(table, markup=False)


def line_of(text: str) -> str:
    """*text*, which others have written, in one line, without what a terminal would obey."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
