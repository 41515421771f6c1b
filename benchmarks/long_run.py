"""The real core on virtual time: a thousand tenants, many requests; see ``simulation.py``."""

from __future__ import annotations

from time import perf_counter

from benchmarks.measure import Effort, Result
from benchmarks.simulation import million

LEASES = {Effort.FULL: 200_000, Effort.QUICK: 50_000, Effort.TINY: 2_000}
TENANTS = 1_000


def run(effort: Effort) -> Result:
    """Simulate, and report what must hold and how well it went."""
    leases = LEASES[effort]
    result = Result("long_run", f"Simulated: {TENANTS:,} tenants, {leases:,} leases")
    started = perf_counter()
    row = million(TENANTS, leases)
    taken = perf_counter() - started
    figures = row.figures
    overshoot = figures.overshoot
    result.holds("connections above the capacity", str(overshoot), "0", overshoot == 0)
    result.show("utilisation", f"{figures.utilisation:.1%} of the slot time lent")
    result.show("longest wait", f"{figures.wait_longest:.2f} s, p99 {figures.wait_p99:.3f} s")
    result.show("also", ", ".join(f"{name} {value:,.4g}" for name, value in row.more.items()))
    result.show("virtual time, real time", f"{figures.seconds:,.0f} s, {taken:.0f} s")
    result.raw = {"row": str(row), "seconds": taken}
    result.notes.append("Deterministic: the same seed gives the same figures everywhere.")
    return result
