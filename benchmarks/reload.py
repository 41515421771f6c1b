"""Configuration changes under load: 100 reloads a second, and a catalog of 100,000 tenants."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.measure import Effort, Result, postgres, progress
from tenantpool.embedded import EmbeddedPostgres

RATE = 100
"""Reloads asked for per second."""
DISTURBANCE = 1.1
CATALOG_SECONDS = 2.0
CATALOG_MEGABYTES = 200.0
LONGEST_PAUSE = 5.0
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Size:
    """*rounds* of *seconds* with reloads, and as many without; *rows* in the catalog."""

    rounds: int
    seconds: float
    rows: int


SIZES = {
    Effort.FULL: Size(rounds=7, seconds=3.0, rows=100_000),
    Effort.QUICK: Size(rounds=3, seconds=1.5, rows=100_000),
    Effort.TINY: Size(rounds=1, seconds=0.3, rows=1_000),
}


def run(effort: Effort) -> Result:
    """Each part in a process of its own."""
    size = SIZES[effort]
    result = Result("reload", "Configuration changes while leases go on")
    with postgres(60) as server:
        progress(f"{RATE} reloads per second")
        _report_reloads(result, _measure(server, "reloads", size))
        progress(f"a catalog of {size.rows:,} tenants")
        _report_catalog(result, size, _measure(server, "catalog", size))
    return result


def _report_reloads(result: Result, found: dict[str, Any]) -> None:
    calm, busy = found["calm"], found["busy"]
    ratio = median(b / c for b, c in zip(busy, calm, strict=True))
    ok = ratio <= DISTURBANCE
    text = f"{ratio:.2f} × ({median(busy):.2f} ms, {median(calm):.2f} ms without)"
    what = f"p99 of leases during {RATE} reloads per second"
    result.holds(what, text, f"≤ {DISTURBANCE:g} ×", ok)
    result.show("reloads asked for, and configurations applied", found["said"])
    result.raw["reloads"] = found
    result.notes.append(
        "A lease is one statement (SELECT 1) of one of 8 workers, each with a tenant of its own, on"
        " one event loop. Another process changes the file at that rate, in all rounds; it changes"
        " the tier of all tenants. The file is read once a second at most: who asks meanwhile is"
        " answered by the next reading. Rounds with and without reloads alternate; the ratio is the"
        " median of theirs."
    )


def _report_catalog(result: Result, size: Size, found: dict[str, Any]) -> None:
    rows = f"{size.rows:,} tenants"
    result.at_most(f"catalog of {rows}: first read", found["first"], CATALOG_SECONDS, " s")
    result.at_most(
        "... read again, with all of them changed", found["again"], CATALOG_SECONDS, " s"
    )
    result.at_most("... memory for it", found["megabytes"], CATALOG_MEGABYTES, " MB")
    result.at_most("... longest pause of decisions", found["pause"], LONGEST_PAUSE, " ms")
    result.show("... a row that is told of, until it is in force", f"{found['told']:.1f} ms")
    result.raw["catalog"] = found


def _measure(server: EmbeddedPostgres, what: str, size: Size) -> dict[str, Any]:
    arguments = [what, server.dsn(), str(size.rounds), str(size.seconds), str(size.rows)]
    command = [sys.executable, "-m", "benchmarks.reload_process", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
