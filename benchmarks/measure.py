"""What all benchmarks share: efforts, figures with their targets, medians, PostgreSQL, machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from tenantpool.embedded import EmbeddedPostgres

PROCESS = Path("/proc/self/statm")


class Effort(StrEnum):
    """How long to measure: for the record, for a look, or only to see that it runs."""

    FULL = "full"
    QUICK = "quick"
    TINY = "tiny"


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured. *target* is what it should be, None where there is none.

    The *headline* ones stand in the project's README too, and so does all that has a target.
    """

    what: str
    value: str
    target: str | None = None
    ok: bool | None = None
    headline: bool = True

    @property
    def verdict(self) -> str:
        """``ok``, ``missed``, or nothing where there is no target."""
        return "" if self.ok is None else ("ok" if self.ok else "missed")


@dataclass(slots=True)
class Result:
    """What one benchmark has found: figures for people, *raw* numbers for programs."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)

    def show(self, what: str, value: str, *, headline: bool = False) -> None:
        """Add a figure that has no target."""
        self.figures.append(Figure(what, value, headline=headline))

    def at_most(self, what: str, value: float, target: float, unit: str = "") -> None:
        """Add a figure that should not exceed its target."""
        ok = value <= target
        self.figures.append(Figure(what, f"{value:.3g}{unit}", f"≤ {target:g}{unit}", ok))

    def holds(self, what: str, value: str, target: str, ok: bool) -> None:
        """Add a figure with a target of its own kind."""
        self.figures.append(Figure(what, value, target, ok))

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return asdict(self)


def median_of_ratios(of: Sequence[float], to: Sequence[float]) -> float:
    """The median of ratios of runs that were made side by side: drifts of the machine cancel.

    Infinite where the others did nothing at all in a run, as may happen in very short ones.
    """
    return median(mine / theirs if theirs else inf for mine, theirs in zip(of, to, strict=True))


def quantile(values: Sequence[float], q: float) -> float:
    """The value that the fraction *q* of *values* does not exceed; 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


def resident_bytes() -> int:
    """Memory of this process that is in RAM now. Linux only."""
    return int(PROCESS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def postgres(max_connections: int = 100, **settings: str) -> Iterator[EmbeddedPostgres]:
    """A private server."""
    everything = {"max_connections": str(max_connections), "shared_buffers": "64MB", **settings}
    with EmbeddedPostgres(settings=everything) as server:
        yield server


def make_databases(server: EmbeddedPostgres, names: Sequence[str]) -> None:
    """Empty databases; copying files is the fastest way on a server that need not be durable."""
    create = sql.SQL("create database {} template template0 strategy file_copy")
    with psycopg.connect(server.dsn(), autocommit=True) as conn:
        for name in names:
            conn.execute(create.format(sql.Identifier(name)))


def make_logins(server: EmbeddedPostgres, names: Sequence[str]) -> None:
    """Login roles: each makes a pool of its own in one database, at once."""
    with psycopg.connect(server.dsn(), autocommit=True) as conn, conn.pipeline():
        for name in names:
            conn.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))


def machine() -> dict[str, str]:
    """Where this was measured."""
    facts = {
        "CPU": _processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "PostgreSQL": _postgres_version(),
    }
    for package in ("psycopg", "psycopg-pool", "sqlalchemy", "asyncpg"):
        facts[package] = _version(package)
    return facts


def _postgres_version() -> str:
    with EmbeddedPostgres() as server:
        return str(server.execute("show server_version")[0][0]).split()[0]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def progress(text: str) -> None:
    """Say what is going on, at once."""
    print(f"  {text}", file=sys.stderr, flush=True)
