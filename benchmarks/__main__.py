"""``python -m benchmarks [names] [--quick]``: measure, print, and write ``results/``."""

from __future__ import annotations

import argparse
import logging
import sys
from importlib import import_module
from time import monotonic

from benchmarks.measure import Effort, Result, machine, progress
from benchmarks.report import publish, save, show

NAMES = (
    *("hot_path", "cold_start", "zipf", "noisy", "scale", "restart", "decisions", "long_run"),
    *("handoff", "gateway_speed", "service_rate", "workers", "reload", "insight", "dashboard"),
)
"""Modules with a function ``run(effort) -> Result``, in the order of the table."""


def main() -> None:
    """Run what the arguments ask for. A target that is missed is shown; it is no error."""
    names, effort = _arguments()
    logging.getLogger("tenantpool").setLevel(logging.ERROR)  # outages are planned here
    results: list[Result] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        started = monotonic()
        results.append(import_module(f"benchmarks.{name}").run(effort))
        progress(f"{monotonic() - started:.0f} s")
    facts = machine()
    save(results, facts, effort)
    if effort is Effort.FULL:
        publish(NAMES)
    show(results, facts)


def _arguments() -> tuple[list[str], Effort]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="a look, not a record")
    found = parser.parse_args()
    if unknown := set(found.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return found.names or list(NAMES), Effort.QUICK if found.quick else Effort.FULL


if __name__ == "__main__":
    main()
