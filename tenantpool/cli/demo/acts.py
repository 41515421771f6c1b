"""The acts of the demo. Each returns once all that it is about has happened, however long it takes.

The parts of the time at which they begin leave room for each other even in the shortest demo.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from time import monotonic
from typing import Any

from tenantpool.cli.demo.cast import CARELESS, GHOST, LEAKER, MAX_WAITING, NOISY, PROMOTED, REPEATER
from tenantpool.cli.demo.scene import Scene, until
from tenantpool.cli.demo.stage import CREATE_GHOST
from tenantpool.cli.demo.worker import FORGET, REPEAT
from tenantpool.service.identity import Identity
from tenantpool.service.loan import Loan
from tenantpool.service.overriding import Wish

OPERATOR = Identity("operator of the demo", may_administer=True)


async def saturation(scene: Scene) -> None:
    """The noisy tenant asks for more than its queue holds, and later for less."""
    await until(lambda: _refusals(scene, NOISY))
    began = monotonic()
    scene.diary.note(NOISY, f"saturated: {MAX_WAITING} wait, more are refused at once")
    await scene.at(0.6)
    scene.troupe.calm()
    await until(lambda: _is_calm(scene))
    scene.diary.note(
        NOISY,
        f"asks for less: no longer saturated after {monotonic() - began:.1f} s,"
        f" in which {_refusals(scene, NOISY):,} were refused",
    )


async def breaker(scene: Scene) -> None:
    """The database that was missing is created: a probe finds it, and leases are served."""
    tenant = await until(lambda: scene.tenant(GHOST.name))
    opened = await scene.heard("breaker opened", tenant.pool)
    scene.diary.note(GHOST.name, "breaker opened: its database does not exist")
    await scene.at(0.45)
    await asyncio.to_thread(scene.sampler.run, CREATE_GHOST)
    created = monotonic()
    scene.diary.note(GHOST.name, "its database is created")
    closed = await scene.heard("breaker closed", tenant.pool)
    await until(lambda: (stats := scene.tenant(GHOST.name)) and stats.leases)
    scene.diary.note(
        GHOST.name,
        f"breaker closed by a probe {max(0.0, closed.at - created):.1f} s later, open for"
        f" {closed.at - opened.at:.1f} s; first lease after {monotonic() - closed.at:.2f} s",
    )


async def leak(scene: Scene) -> None:
    """A holder does not give back: that is reported, and its lease is revoked as by a click."""
    await scene.at(0.2)
    scene.troupe.careless.tell(FORGET)
    reported = await scene.heard("leak", CARELESS, LEAKER)
    found, *_ = await until(lambda: _findings(scene, "long lease", LEAKER))
    scene.diary.note(
        LEAKER,
        f"leak: a lease held for {reported.fields['held']:.1f} s by {CARELESS},"
        f" taken at {_short(found['place'])}",
    )
    loan = await until(lambda: _loan(scene))
    slots, slot, asked = loan.shell.core.slots, loan.slot, monotonic()
    scene.server.desk.ledger.revoke_one(loan.lease_id, "it has leaked")
    await until(lambda: slot not in slots)
    milliseconds = 1000 * (monotonic() - asked)
    scene.diary.note(LEAKER, f"that lease revoked, its slot was back after {milliseconds:.0f} ms")


async def repetition(scene: Scene) -> None:
    """A worker asks for many rows, one at a time: query insight reports it, once."""
    await scene.at(0.15)
    scene.troupe.careless.tell(REPEAT)
    found, *_ = await until(lambda: _findings(scene, "repeated statement", REPEATER))
    scene.diary.note(
        REPEATER,
        f"N+1: {found['count']} times [{found['statement']}] in one lease,"
        f" at {_short(found['place'])}",
    )
    scene.diary.note(REPEATER, f"how to mend that: {found['fix'].partition(';')[0]}")
    await scene.at(0.8)
    if (times := len(_findings(scene, "repeated statement", REPEATER))) > 1:
        raise RuntimeError(f"it was reported {times} times")


async def promotion(scene: Scene) -> None:
    """A tenant gets a better tier for a while, and what that is good for."""
    await scene.at(0.1)
    start = scene.slot_seconds(PROMOTED)
    await scene.at(0.4)
    middle = scene.slot_seconds(PROMOTED)
    usual = await until(lambda: scene.tenant(PROMOTED))
    end = time.time() + 0.25 * scene.seconds
    wish = Wish(PROMOTED, "enterprise", None, until=end, reason="shown in the demo")
    made = await scene.server.overriding.set(wish, OPERATOR)
    words = "; ".join(change.removeprefix(f"{PROMOTED}: ") for change in made.changes)
    scene.diary.note(PROMOTED, f"changed live: {words}")
    await until(lambda: (stats := scene.tenant(PROMOTED)) and stats.tier == usual.tier)
    before, meanwhile = _share(start, middle), _share(middle, scene.slot_seconds(PROMOTED))
    scene.diary.note(
        PROMOTED,
        f"tier {usual.tier} again; its share meanwhile {meanwhile:.1%}, {before:.1%} before",
    )
    if meanwhile <= before:
        raise RuntimeError(f"the share of {PROMOTED} did not grow with its tier")


ACTS = {
    "saturation": saturation,
    "a breaker that opens and closes": breaker,
    "a leak": leak,
    "an N+1": repetition,
    "a live change": promotion,
}
"""By the words for them."""


def _refusals(scene: Scene, name: str) -> int:
    stats = scene.tenant(name)
    return sum(stats.refused.values()) if stats is not None else 0


def _is_calm(scene: Scene) -> bool:
    stats = scene.tenant(NOISY)
    return stats is not None and stats.waiting < MAX_WAITING // 2


def _findings(scene: Scene, kind: str, tenant: str) -> list[Mapping[str, Any]]:
    """What query insight has told of the careless worker."""
    told = scene.troupe.careless.findings
    return [fields for of, fields in told if of == kind and fields["tenant"] == tenant]


def _loan(scene: Scene) -> Loan | None:
    loans = scene.server.desk.ledger.loans.values()
    leaks = (loan for loan in loans if loan.tenant.name == LEAKER and loan.holder == CARELESS)
    return next(leaks, None)


def _share(start: tuple[float, float], end: tuple[float, float]) -> float:
    """Its part of what was lent to all in between."""
    return (end[0] - start[0]) / max(end[1] - start[1], 1e-9)


def _short(place: str) -> str:
    """Without the folders."""
    return place.rpartition("/")[2]
