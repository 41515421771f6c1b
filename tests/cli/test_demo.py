"""The demo as a user runs it: a process of its own, on a PostgreSQL of its own."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from unittest.mock import Mock

import psycopg
import pytest
from rich.console import Console

from tenantpool.cli.demo import stage
from tenantpool.cli.demo.cast import CAPACITY, SERVED, TENANTS
from tenantpool.cli.demo.diary import Entry
from tenantpool.cli.demo.life import Life
from tenantpool.cli.demo.sampler import Sampler
from tenantpool.cli.demo.scene import Scene
from tenantpool.cli.demo.score import Line, Score, judge, last_line
from tenantpool.cli.demo.show import picture
from tenantpool.embedded import EmbeddedPostgres
from tests.support.wait import wait_until

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tenantpool", "demo", "--seconds"]
LAST_LINE = re.compile(
    r"demo: ok ([\d,]+) leases; at most (\d+) connections in pg_stat_activity,"
    r" capacity (\d+); refusals: (.+)"
)
LONGEST = 60.0

LIFE = (
    r"noisy: saturated: 40 wait, more are refused at once",
    r"noisy: asks for less: no longer saturated after [\d.]+ s, in which [\d,]+ were refused",
    r"ghost: breaker opened: its database does not exist",
    r"ghost: its database is created",
    r"ghost: breaker closed by a probe [\d.]+ s later, .*; first lease after [\d.]+ s",
    r"initech: leak: a lease held for [\d.]+ s by careless worker, taken at careless.py:\d+ in .*",
    r"initech: that lease revoked, its slot was back after \d+ ms",
    r"umbrella: N\+1: 101 times \[select .* = \?\] in one lease, at careless.py:\d+ in .*",
    r"umbrella: how to mend that: .* JOIN.*",
    r"hooli: changed live: pro → enterprise .*weight 2 → 4.*",
    r"hooli: tier pro again; its share meanwhile [\d.]+%, [\d.]+% before",
)
"""What must happen in every demo, in words."""


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_demo_ends_well_and_says_so_in_its_last_line() -> None:
    done = subprocess.run(
        [*COMMAND, "6"], cwd=ROOT, capture_output=True, text=True, timeout=LONGEST
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    lines = done.stdout.splitlines()
    found = LAST_LINE.fullmatch(lines[-1])
    assert found, lines[-1]
    leases, most, capacity, refusals = found.groups()
    assert int(leases.replace(",", "")) >= len(SERVED)
    assert int(most) == int(capacity) == CAPACITY
    reasons = {word.split()[0] for word in refusals.split(", ")}
    assert "CONNECT_FAILED" in reasons
    assert reasons <= {"CONNECT_FAILED", "BREAKER_OPEN", "QUEUE_FULL"}
    first_words = [line.split()[:2] for line in lines if line]
    for tenant in TENANTS:
        assert [tenant.name, tenant.tier] in first_words
    assert "\x1b" not in done.stdout
    deliveries = re.search(
        r"7 worker processes .*: gateway [\d,]+, hand-off [\d,]+, parked ", done.stdout
    )
    assert deliveries, done.stdout
    assert re.search(
        r"One was killed while it held \d+: they were back after [\d.]+ s", done.stdout
    )
    happened = lines[lines.index("What happened:") + 1 :]
    live = lines[: lines.index("What happened:")]
    for act in LIFE:
        (entry,) = (line for line in happened if re.fullmatch(rf" *[\d.]+ s  {act}", line))
        assert entry in live


def test_what_did_not_happen_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def happens(scene: Scene) -> None:
        pass

    async def fails(scene: Scene) -> None:
        raise RuntimeError("it rains")

    async def never_comes(scene: Scene) -> None:
        await asyncio.Event().wait()

    async def live() -> list[str]:
        life = Life(Mock())
        await asyncio.sleep(0)
        assert not life.is_over
        await life.end()
        assert life.is_over
        return life.wrong

    acts = {"a walk": happens, "a picnic": fails, "a rainbow": never_comes}
    monkeypatch.setattr("tenantpool.cli.demo.life.ACTS", acts)
    assert asyncio.run(live()) == ["a picnic: it rains", "a rainbow did not happen"]


def test_the_sampler_runs_a_statement_without_a_connection_more(
    postgres: EmbeddedPostgres,
) -> None:
    with Sampler(postgres.dsn()) as sampler:
        with pytest.raises(psycopg.errors.UndefinedTable):
            sampler.run("select 1 from nowhere")
        sampler.run("select 1")
        wait_until(lambda: sampler.looks > 0, what="it goes on looking")


def test_ctrl_c_ends_the_demo_with_the_summary() -> None:
    with subprocess.Popen(
        [*COMMAND, "600"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        for line in demo.stdout:  # the first line of progress: everybody is at work
            if "leases" in line:
                break
        workers = children(demo.pid)
        assert workers
        demo.send_signal(signal.SIGINT)
        stopped = time.monotonic()
        lines = demo.stdout.read().splitlines()
        assert (demo.wait(LONGEST), demo.stderr.read()) == (0, "")
    assert time.monotonic() - stopped < LONGEST
    assert any(re.fullmatch(r"stopped after [\d.]+ of 600 s", line) for line in lines)
    assert LAST_LINE.fullmatch(lines[-1]), lines[-1]
    wait_until(lambda: not any(map(is_running, workers)), what="the workers have gone")


def test_workers_do_not_outlive_a_demo_that_is_killed() -> None:
    with subprocess.Popen([*COMMAND, "600"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "leases" in line:
                break
        workers = children(demo.pid)
        assert workers
        demo.kill()
    wait_until(lambda: not any(map(is_running, workers)), LONGEST, what="the workers have gone")


def test_the_audit_is_exact_but_for_a_process_that_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def found(count: int) -> dict[str, dict[str, int]]:
        own = {tenant.name: {tenant.name: count} for tenant in SERVED}
        return own | {"rowan": {"rowan": count, stage.SECRET: 1}}

    def audit(tables: dict[str, dict[str, int]], **doubtful: int) -> list[str]:
        monkeypatch.setattr(stage, "_count", lambda server, tenant: dict(tables[tenant.name]))
        written = {tenant.name: 7 for tenant in SERVED}
        return stage.audit(Mock(), written, doubtful)

    assert audit(found(7)) == []
    assert audit(found(7) | {"wayne": {"wayne": 9}}, wayne=2) == []
    assert audit(found(7) | {"wayne": {"wayne": 10}}, wayne=2) == [
        "orders of wayne: found 10, expected 7 to 9"
    ]
    assert audit(found(7) | {"acme": {"acme": 6, "globex": 1}}) == [
        "orders of acme: found 6, expected 7",
        "orders of others among those of acme: {'globex': 1}",
    ]


def test_what_must_hold_and_does_not_is_a_failure() -> None:
    score = Score(
        elapsed=1.0,
        seconds=1.0,
        lines=(Line(SERVED[0], None, 0.0),),
        leases=7,
        used=CAPACITY,
        waiting=0,
        opened=CAPACITY,
        refused={"QUEUE_FULL": 3},
        latest=CAPACITY,
        most=CAPACITY + 1,
        looks=100,
    )
    overshoot = f"{CAPACITY + 1} connections in pg_stat_activity, capacity {CAPACITY}"
    assert judge(score, in_full=False) == [overshoot]
    assert judge(score, in_full=True) == [overshoot, "acme got no lease"]
    assert judge(replace(score, most=CAPACITY, lines=()), in_full=True) == []
    assert last_line(score, ["it broke"]) == (
        "demo: failed: it broke; 7 leases; at most 21 connections in pg_stat_activity,"
        " capacity 20; refusals: QUEUE_FULL 3"
    )


def test_what_happens_is_seen_on_a_terminal_of_few_lines() -> None:
    score = Score(
        elapsed=1.0,
        seconds=6.0,
        lines=tuple(Line(tenant, None, 0.0) for tenant in TENANTS),
        leases=7,
        used=CAPACITY,
        waiting=0,
        opened=CAPACITY,
        refused={},
        latest=CAPACITY,
        most=CAPACITY,
        looks=100,
    )
    entries = [Entry(number, "acme", f"event {number}") for number in range(10)]
    for height, shown in ((24, 2), (60, 6)):
        console = Console(width=80, height=height, file=StringIO(), record=True)
        console.print(picture(score, console, entries))
        lines = console.export_text().splitlines()[:height]
        assert sum("acme: event" in line for line in lines) == shown
        assert any("acme: event 9" in line for line in lines)
