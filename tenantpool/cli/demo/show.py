"""What the demo looks like: a bar with the slots of each tenant, and a table below it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from tenantpool.cli.demo.accident import Accident
from tenantpool.cli.demo.cast import CAPACITY
from tenantpool.cli.demo.diary import Entry
from tenantpool.cli.demo.score import Line, Score
from tenantpool.cli.demo.troupe import Troupe

WIDTH = 120
"""Columns of the output when it goes to no terminal; what the widest line needs."""

_COLOURS = (
    *("bright_magenta", "magenta", "bright_blue", "blue", "cyan", "green", "bright_green"),
    *("bright_red", "yellow", "bright_yellow", "bright_cyan", "white"),
)
_LEAST_LATEST, _MOST_LATEST = 2, 6
"""Lines of what happened that are shown while it goes on."""
_OTHER_LINES = 24
"""Lines of all the rest."""

_SLOT = "██"
_OPEN = "▒▒"
_FREE = "··"


def picture(score: Score, console: Console, entries: Sequence[Entry]) -> RenderableType:
    """The live view, for the terminal of *console*, with the latest *entries* of the diary.

    They stand where a terminal of few lines shows them, too.
    """
    room = min(_MOST_LATEST, max(_LEAST_LATEST, console.height - _OTHER_LINES))
    latest = [Text(str(entry), no_wrap=True, overflow="ellipsis") for entry in entries[-room:]]
    table = board(score, console.width)
    return Group(_clock(score), _bar(score), *latest, table, _witness(score))


def is_live(console: Console) -> bool:
    """Whether a picture can be painted over the last one."""
    return console.is_terminal and not console.is_dumb_terminal


def summary(score: Score) -> str:
    """What went right, in words."""
    return (
        f"Lent for {score.utilisation:.1%} of the time that {CAPACITY} connections offer,"
        f" with {score.opened} connects in all.\n"
        f"Every order that was committed is there, and no tenant saw another's.\n"
        f"pg_stat_activity was asked {score.looks:,} times."
    )


def life(entries: Sequence[Entry]) -> str:
    """All that happened, in its order."""
    return "\n".join(["What happened:", *map(str, entries)])


def workers(troupe: Troupe, accident: Accident) -> str:
    """What the worker processes did, and what became of the one that was killed."""
    ways = ", ".join(f"{way} {count:,}" for way, count in sorted(troupe.delivered.items()))
    text = f"{len(troupe.players)} worker processes reached their leases by: {ways}."
    if accident.back_after is not None:
        text += (
            f"\nOne was killed while it held {accident.held}: they were back after"
            f" {accident.back_after:.1f} s, and every row that it told of is there."
        )
    return text


def progress(score: Score) -> str:
    """The live view in one line, for output that is not a terminal."""
    return (
        f"{score.elapsed:5.1f} s  {score.leases:,} leases, {score.used} of {CAPACITY} slots used,"
        f" {score.waiting} waiting, at most {score.most} in pg_stat_activity"
    )


def board(score: Score, width: int) -> RenderableType:
    """A line for each tenant; its refusals stand in it, or below where that is too narrow."""
    wide = width >= WIDTH
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in ("Tenant", "Tier", "Apart by"):
        table.add_column(name, no_wrap=True, vertical="bottom")
    for name in ("Tasks", "Leases", "Wait\np50", "Wait\np99", "Share", "By\nweight"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("Refused", no_wrap=True)
    refused: list[str] = []
    for line, colour in zip(score.lines, _COLOURS, strict=True):
        reasons = _refusals(line)
        table.add_row(*_cells(line, colour), *([reasons] if wide else []))
        if reasons:
            refused.append(f"{line.tenant.name}: {reasons}")
    return table if wide else Group(table, Text("refused " + "; ".join(refused)))


def _cells(line: Line, colour: str) -> Iterator[RenderableType]:
    tenant, stats = line.tenant, line.stats
    yield Text(tenant.name, style=f"bold {colour}")
    yield tenant.tier
    yield tenant.home
    yield str(tenant.tasks)
    yield f"{stats.leases:,}" if stats else "0"
    yield _milliseconds(stats.wait_p50) if stats and stats.leases else "-"
    yield _milliseconds(stats.wait_p99) if stats and stats.leases else "-"
    yield f"{line.share:.1%}"
    yield f"{line.entitled:.1%}"


def _refusals(line: Line) -> str:
    refused = line.stats.refused if line.stats else {}
    return ", ".join(f"{reason} {count:,}" for reason, count in refused.items())


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms"


def _clock(score: Score) -> Text:
    return Text.assemble(
        ("tenantpool ", "bold"),
        f"{score.elapsed:.0f} of {score.seconds:g} s, {score.leases:,} leases,"
        f" {score.leases / max(score.elapsed, 0.1):,.0f} per second, {score.waiting} waiting",
    )


def _bar(score: Score) -> Text:
    """One cell for each slot: whose lease it is in now, open without a lease, or free."""
    lent = [
        (_SLOT, colour)
        for line, colour in zip(score.lines, _COLOURS, strict=True)
        for _ in range(line.stats.in_use if line.stats else 0)
    ]
    between = [(_OPEN, "bright_black")] * (score.used - len(lent))
    bar = Text("\n")
    for _, cell in zip_longest(range(CAPACITY), lent + between, fillvalue=(_FREE, "bright_black")):
        assert isinstance(cell, tuple)
        bar.append(*cell)
    bar.append(f"  {len(lent)} of {CAPACITY} lent", "bold")
    return bar


def _witness(score: Score) -> Text:
    calm = score.most <= CAPACITY
    return Text.assemble(
        f"pg_stat_activity, asked {score.looks:,} times: {score.latest} connections now, ",
        (f"{score.most} at most, capacity {CAPACITY}", "bold green" if calm else "bold red"),
    )
