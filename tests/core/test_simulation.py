"""The simulation: a thousand tenants, and figures that do not depend on the machine."""

from __future__ import annotations

import pytest

from benchmarks.simulation import contest, crowd, million


def test_a_thousand_tenants_never_exceed_the_capacity_and_nobody_waits_for_long() -> None:
    run = million(leases=60_000)
    assert run.figures.overshoot == 0
    assert run.more["tenants served"] > 950
    assert run.figures.wait_longest < 2.0


def test_the_same_seed_gives_the_same_figures() -> None:
    assert million(leases=1_000) == million(leases=1_000)
    assert million(leases=1_000) != million(leases=1_000, seed=2)


def test_while_demand_exceeds_capacity_slots_are_lent_and_shared_by_weight() -> None:
    rivals = [("basic", 1.0, 30), ("pro", 3.0, 30), ("enterprise", 10.0, 60)]
    run = contest("three tiers", 28, rivals, seconds=4.0)
    assert run.figures.utilisation > 0.97
    assert run.more["smallest share"] == pytest.approx(1.0, rel=0.05)
    assert run.more["largest share"] == pytest.approx(1.0, rel=0.05)


def test_where_more_tenants_wait_than_there_are_slots_they_share_by_weight_too() -> None:
    rivals = [(f"t{n}", weight, 4) for n, weight in enumerate([1.0] * 20 + [3.0] * 20)]
    run = contest("forty tenants", 10, rivals, seconds=5.0)
    assert run.figures.utilisation > 0.9
    assert run.more["Jain"] > 0.99


def test_a_polite_tenant_gets_its_share_beside_a_noisy_one() -> None:
    run = contest("noisy", 10, [("polite", 1.0, 10), ("noisy", 1.0, 105)], seconds=5.0)
    assert run.more["smallest share"] == pytest.approx(1.0, rel=0.05)


def test_a_quantum_buys_leases() -> None:
    without, with_one = (crowd("", 0.02, 200, 2.0, quantum_factor=f) for f in (0.0, 50.0))
    assert with_one.figures.leases > 1.3 * without.figures.leases
    assert with_one.figures.wait_p99 < without.figures.wait_p99
