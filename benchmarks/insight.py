"""Query insight and metrics: what looking at statements and leases, and counting them, costs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import sample
from statistics import median
from subprocess import PIPE, Popen
from time import perf_counter
from typing import Any

import psycopg

from benchmarks.insight_process import DBNAME, TENANT, settings
from benchmarks.measure import Effort, Result, median_of_ratios, postgres, progress
from tenantpool import Manager
from tenantpool.insight import Insight
from tenantpool.insight._sync.cursor import watch, watched

ROOT = Path(__file__).parents[1]
WHAT = {"one statement": "statement", "no statement": "nothing"}
"""What a lease does, and how its process is told."""
QUERY = (
    "select o.id, o.total, o.created_at, c.name, c.email from orders o"
    " join customers c on c.id = o.customer_id where o.customer_id = %s and o.state = any(%s)"
    " and o.total > %s order by o.created_at desc limit 10"
)
INLINE = QUERY.replace("%s", "{}", 1).replace("any(%s)", "any('{{open,paid}}')")
INLINE = INLINE.replace("%s", "9.5")
HOOK_TARGET = 10.0
LEASE_TARGET = 1.05
WARM_UP = 200
"""Leases, so that Python has made their code as fast as it will be."""
STATES = ("neither", "off", "on")
"""Of a manager: without metrics and insight; with metrics, as all are; with insight, too."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many rounds, and how much in each; *crews* of processes share those with leases."""

    rounds: int
    crews: int
    hooks: int
    leases: int


SIZES = {
    Effort.FULL: Size(rounds=200, crews=8, hooks=2_000, leases=50),
    Effort.QUICK: Size(rounds=60, crews=3, hooks=1_000, leases=50),
    Effort.TINY: Size(rounds=2, crews=1, hooks=50, leases=5),
}

Times = dict[str, list[float]]
"""Microseconds for one, in each round."""


def run(effort: Effort) -> Result:
    """Measure the hook by itself, then leases with and without insight and metrics in turns."""
    size = SIZES[effort]
    result = Result("insight", "Query insight and metrics, on beside off")
    progress("statements")
    hooks = _hooks(size)
    result.at_most("per statement, on", median(hooks["seen before"]), HOOK_TARGET, " µs")
    inline = median(hooks["values in its text, never the same"])
    result.at_most("per statement whose text is always new, on", inline, HOOK_TARGET, " µs")
    result.raw = {"microseconds": {"hook": hooks}}
    with postgres() as server:
        dsn = server.dsn(DBNAME)
        for kind in ("sync", "async"):
            progress(f"leases, {kind}")
            _report(result, kind, _leases(kind, dsn, size))
        result.holds("per statement, off", *_off(dsn))
    result.notes.append(
        "The hook is measured around a cursor that does nothing, with a statement of 200"
        " characters; so it is all that a statement pays. A lease: borrow, begin, `select 1`,"
        " commit, return, on one open connection of a real PostgreSQL. Each state is a process of"
        " its own, and they take turns in random order; medians of ratios over rounds. Eight times"
        " there are new processes, as some are lucky all their life. A manager"
        " always counts what the metrics say (off does, too); for neither, the lines of the core"
        " that count a lease are taken out of its source. To read the metrics costs nothing per"
        " lease."
    )
    return result


def _report(result: Result, kind: str, times: dict[str, Times]) -> None:
    one = times["one statement"]
    both = median_of_ratios(one["on"], one["neither"])
    what = f"{kind}: a lease with one statement"
    result.at_most(f"{what}, metrics and insight ÷ neither", both, LEASE_TARGET, " ×")
    insight = median_of_ratios(one["on"], one["off"])
    result.at_most(f"{what}, insight on ÷ off", insight, LEASE_TARGET, " ×")
    for what, peers in times.items():
        medians = ", ".join(f"{name} {median(peers[name]):.1f} µs" for name in STATES)
        result.show(f"{kind}: a lease with {what}", medians)
    result.raw["microseconds"][kind] = times


def _off(dsn: str) -> tuple[str, str, bool]:
    with Manager(settings(dsn, enabled=False)) as manager, manager.connection(TENANT) as conn:
        is_untouched = conn.cursor_factory is psycopg.Cursor
    found = "psycopg's own cursor, untouched" if is_untouched else "a cursor of ours"
    return found, "psycopg's own cursor", is_untouched


# -- the hook --------------------------------------------------------------------------------------


class _Connection:
    """As much of a connection as the hook looks at."""

    pipeline_status = 0
    cursor_factory = psycopg.Cursor
    server_cursor_factory = psycopg.ServerCursor


class _Cursor:
    """Runs nothing, at once."""

    _query = None

    def __init__(self, conn: _Connection) -> None:
        self._conn = self._pgconn = conn

    def execute(self, query: str, params: object = None) -> _Cursor:
        return self


def _hooks(size: Size) -> Times:
    conn: Any = _Connection()
    watch(conn, "acme", Insight())
    plain, hooked = _Cursor(conn), watched(_Cursor)(conn)
    numbers = count()
    same = [QUERY] * size.hooks
    times: Times = {"seen before": [], "values in its text, never the same": []}
    for _ in range(size.rounds):
        new = [INLINE.format(next(numbers)) for _ in range(size.hooks)]
        bare = _execute(plain, same)
        for name, queries in zip(times, (same, new), strict=True):
            times[name].append(1e6 * (_execute(hooked, queries) - bare) / size.hooks)
    return times


def _execute(cursor: Any, queries: list[str]) -> float:
    started = perf_counter()
    for query in queries:
        cursor.execute(query, None)
    return perf_counter() - started


# -- leases ----------------------------------------------------------------------------------------


def _leases(kind: str, dsn: str, size: Size) -> dict[str, Times]:
    """Microseconds of a lease, by what it does and by state."""
    times: dict[str, Times] = {what: {state: [] for state in STATES} for what in WHAT}
    for _ in range(size.crews):
        _by_a_crew(times, kind, dsn, size)
    return times


def _by_a_crew(times: dict[str, Times], kind: str, dsn: str, size: Size) -> None:
    """Add to *times* what one process of each state takes; they take turns."""
    with ExitStack() as stack:
        peers = {state: stack.enter_context(_process(kind, state, dsn)) for state in STATES}
        for what in (*WHAT, *WHAT):
            for peer in peers.values():
                _ask(peer, what, min(WARM_UP, 4 * size.leases))
        for _ in range(size.rounds // size.crews):
            for what, by_state in times.items():
                for state in sample(STATES, len(STATES)):
                    _ask(peers[state], what, 1)  # wakes it up
                    by_state[state].append(_ask(peers[state], what, size.leases))


@contextmanager
def _process(kind: str, state: str, dsn: str) -> Iterator[Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.insight_process", kind, state, dsn]
    with Popen(command, cwd=ROOT, stdin=PIPE, stdout=PIPE, text=True) as process:
        yield process  # the end of its input ends it


def _ask(process: Popen[str], what: str, leases: int) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    print(WHAT[what], leases, file=process.stdin, flush=True)
    return float(process.stdout.readline())
