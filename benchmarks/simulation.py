"""Hours of many tenants in seconds: the real core on virtual time.

``python -m benchmarks.simulation`` prints the tables and writes ``results/simulation.json``. The
same seed gives the same figures everywhere: nothing here measures this machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import repeat
from pathlib import Path
from time import monotonic

from benchmarks.simulator import Figures, Simulator, Worker, jain
from tenantpool.core.limits import DatabaseLimits, TenantLimits
from tenantpool.core.tenant import Tenant

RESULTS = Path(__file__).parent / "results" / "simulation.json"

CAPACITY = 50
TENANTS = 200
EXPONENT = 1.1
CONNECTS = (0.003, 0.020)
FREE = {"min_connection_age": 0.0, "connect_concurrency": CAPACITY, "quantum_max": 1e9}
"""Nothing limits how slots move; a table then varies one thing."""
BRISK = {"min_connection_age": 0.0, "connect_concurrency": 16}
"""What the tables of ages and of connects at a time recommend."""
TIERS = {"basic": 1.0, "pro": 3.0, "enterprise": 10.0}


@dataclass(frozen=True)
class Row:
    """One run of a table: what was varied, what came out, and what only this table asks."""

    name: str
    figures: Figures
    more: dict[str, float]

    def __str__(self) -> str:
        found = self.figures
        more = "".join(f"  {what} {value:.4g}" for what, value in self.more.items())
        return (
            f"{self.name:34} {found.leases_per_second:7.0f} leases/s"
            f" {found.connects_per_second:6.0f} connects/s"
            f"  wait p50 {found.wait_p50 * 1e3:5.1f} p99 {found.wait_p99 * 1e3:6.1f}"
            f" longest {found.wait_longest * 1e3:7.1f} ms"
            f"  lent {found.utilisation:4.0%}  overshoot {found.overshoot}{more}"
        )


# -- many tenants whose demand differs ----------------------------------------------------------


def crowd(
    name: str,
    connect: float,
    workers: int,
    seconds: float,
    *,
    at_once: float = 1e9,
    **limits: float,
) -> Row:
    """Workers that each ask for any tenant, by Zipf's law; they think 10 ms and hold 4 ms."""
    chosen = {**FREE, **limits}
    sim = Simulator(DatabaseLimits(CAPACITY, **chosen), connect=connect, at_once=at_once)  # type: ignore[arg-type]
    basic = TenantLimits("basic", cap=10, max_waiting=workers)
    tenants = [sim.tenant(f"t{number}", basic) for number in range(TENANTS)]
    worker = Worker(sim.zipf(tenants, EXPONENT))
    for _ in range(workers):
        sim.start(worker)
    sim.run(seconds=seconds)
    return Row(f"{name}, connect {connect * 1e3:.0f} ms", sim.figures(), _least(tenants))


def _least(tenants: list[Tenant]) -> dict[str, float]:
    return {"leases of the last tenant": tenants[-1].counters.leases}


def evictions(seconds: float) -> list[Row]:
    """Which connections move while there is no shortage: the least needed ones."""
    return [crowd("60 workers", connect, 60, seconds) for connect in CONNECTS]


def quanta(seconds: float) -> list[Row]:
    """How long a contended slot stays with its pool, as a multiple of the connect time."""
    return [
        crowd(f"quantum {factor}", connect, 400, seconds, quantum_factor=factor)
        for connect in CONNECTS
        for factor in (0, 5, 25, 50, 100, 250)
    ]


def ages(seconds: float) -> list[Row]:
    """For how long a new connection is spared."""
    return [
        crowd(f"{workers} workers, age {age}", connect, workers, seconds, min_connection_age=age)
        for connect in CONNECTS
        for workers in (60, 400)
        for age in (0.0, 0.005, 0.02, 0.1, 0.5)
    ]


def concurrencies(seconds: float) -> list[Row]:
    """How many connects may be under way; on a server that does 4 or any number at full speed."""
    return [
        crowd(
            f"{workers} workers, {limit} of {at_once:g}",
            connect,
            workers,
            seconds,
            at_once=at_once,
            connect_concurrency=limit,
        )
        for connect in CONNECTS
        for workers in (60, 400)
        for at_once in (4.0, 1e9)
        for limit in (4, 8, 16, 32)
    ]


# -- tenants that want all they can get ---------------------------------------------------------


def contest(
    name: str,
    capacity: int,
    rivals: Iterable[tuple[str, float, int]],
    seconds: float,
    *,
    hold: float = 0.004,
    connect: float = 0.003,
) -> Row:
    """Rivals (name, weight, workers) whose workers never pause: shares of slot time."""
    sim = Simulator(DatabaseLimits(capacity), connect=connect)
    tenants: list[Tenant] = []
    for rival, weight, workers in rivals:
        limits = TenantLimits(rival, cap=capacity, weight=weight, max_waiting=workers)
        tenant = sim.tenant(f"{rival}-{len(tenants)}", limits)
        tenants.append(tenant)
        for _ in range(workers):
            sim.start(Worker(repeat(tenant).__next__, think=0.0, hold=hold))
    sim.run(seconds=seconds)
    return Row(name, sim.figures(), fairness(tenants))


def fairness(tenants: Sequence[Tenant]) -> dict[str, float]:
    """How far slot time is from the weights: 1.0 is an exact share."""
    in_all = sum(tenant.counters.held for tenant in tenants)
    weights = sum(tenant.limits.weight for tenant in tenants)
    shares = [t.counters.held / in_all / (t.limits.weight / weights) for t in tenants]
    return {"smallest share": min(shares), "largest share": max(shares), "Jain": jain(shares)}


def tier_mix(seconds: float) -> list[Row]:
    """Tiers of weights 1, 3 and 10, more demand than capacity."""
    return [
        contest(
            f"{per_tier} tenants of each tier, {capacity} slots",
            capacity,
            [(tier, weight, workers) for tier, weight in TIERS.items() for _ in range(per_tier)],
            seconds,
        )
        for per_tier, capacity, workers in ((2, 56, 60), (2, 50, 60), (20, 50, 10), (100, 50, 3))
    ]


def neighbours(seconds: float) -> list[Row]:
    """A polite tenant alone, and beside one that keeps 100 requests waiting."""
    rows = [contest("polite alone", 10, [("polite", 1.0, 10)], seconds)]
    for weight in (1.0, 3.0):
        rivals = [("polite", weight, 10), ("noisy", 1.0, 110)]
        rows.append(contest(f"polite of weight {weight:g} beside noisy", 10, rivals, seconds))
    return rows


# -- a thousand tenants, a million requests -----------------------------------------------------


def million(tenants: int = 1_000, leases: int = 1_000_000, seed: int = 1) -> Row:
    """All tiers, Zipf demand, more of it than there is capacity."""
    sim = Simulator(DatabaseLimits(CAPACITY, **BRISK), connect=0.003, seed=seed)  # type: ignore[arg-type]
    basic, pro, enterprise = (
        TenantLimits(tier, cap=10, guarantee=int(tier == "enterprise"), weight=weight)
        for tier, weight in TIERS.items()
    )
    many = [
        sim.tenant(f"t{n}", enterprise if n % 50 == 0 else pro if n % 10 == 0 else basic)
        for n in range(tenants)
    ]
    worker = Worker(sim.zipf(many, EXPONENT))
    for _ in range(400):
        sim.start(worker)
    sim.run(leases=leases)
    served = sum(tenant.counters.leases > 0 for tenant in many)
    name = f"{tenants:,} tenants, {leases:,} requests"
    return Row(name, sim.figures(), {"tenants served": served, "refused": sim.refused})


def tables(seconds: float = 10.0) -> dict[str, list[Row]]:
    """Everything, printed as it comes."""
    found: dict[str, list[Row]] = {}
    chapters: dict[str, tuple[Callable[[float], list[Row]], float]] = {
        "which connections move, no shortage": (evictions, seconds),
        "how long a slot stays with its pool, 400 workers": (quanta, seconds),
        "how long a new connection is spared": (ages, seconds / 2),
        "how many connects at a time": (concurrencies, seconds / 2),
        "shares of slot time against weights": (tier_mix, 2 * seconds),
        "noisy neighbour": (neighbours, 3 * seconds),
        "the long run": (lambda _: [million()], 0.0),
    }
    for title, (rows, length) in chapters.items():
        started = monotonic()
        found[title] = rows(length)
        print(f"\n{title} ({monotonic() - started:.0f} s)", *found[title], sep="\n", flush=True)
    return found


def main() -> None:
    """Print the tables and keep them."""
    found = {title: [asdict(row) for row in rows] for title, rows in tables().items()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
