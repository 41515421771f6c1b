"""One path for all who change the configuration: as a whole or not at all, and told."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tenantpool.config import Settings
from tenantpool.config.plan import Plan
from tenantpool.errors import ConfigConflict, ConfigError, ConfigErrors
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.service.identity import Guard, Identity
from tenantpool.service.lockout import lockouts
from tenantpool.service.reload import APPLIED, FILE, REFUSED, SIGHUP, UNCHANGED, Origin, Reloader
from tenantpool.service.reload import Outcome as Told
from tenantpool.service.source import Source

from .support import Follower, settings

YAML = """\
databases:
  main: {conninfo: host=/nowhere password=geheim, capacity: 5}
tenants: {acme: {tier: pro}}
"""
BIGGER = YAML + "tiers: {pro: {cap: 30}}\n"

ADMIN = Identity("ops", may_administer=True)


class House:
    """A reloader, what it reads, and what it acts on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_text(YAML)
        self.source = Source(path)
        self.manager = AsyncManager(self.source.load())
        self.follower = Follower()
        self.reloader = Reloader(self.manager, self.source, self.follower)
        self.told: list[Told] = []
        self.reloader.tell = self._tell

    async def _tell(self, outcome: Told) -> None:
        self.told.append(outcome)

    def write(self, text: str) -> None:
        self.path.write_text(text)

    @property
    def cap(self) -> int:
        return self.manager.settings.tiers["pro"].cap


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.delenv("TENANTPOOL_CONFIG", raising=False)
    house = House(tmp_path / "t.yaml")
    async with house.manager:
        yield house


def records(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    return [vars(r)["fields"] for r in caplog.records if vars(r).get("event") == event]


async def test_every_change_is_a_line_with_who_what_and_the_digests(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = house.manager.roster.digest
    house.write(BIGGER + "sweep_interval: 2\n")
    outcome = await house.reloader.reload(Origin("call", ADMIN))
    lines = records(caplog, "configuration changed")
    assert [line.pop("what") for line in lines] == [
        "tier pro: cap 25 → 30 (1 tenant)",
        "sweep_interval 1 → 2",
    ]
    assert (outcome.result, outcome.before, outcome.after) == (
        APPLIED,
        before,
        house.manager.roster.digest,
    )
    for line in lines:
        assert line == {
            "who": "ops",
            "source": "call",
            "before": outcome.before,
            "after": outcome.after,
        }
    assert house.told == [outcome]
    assert house.follower.adopted == [house.manager.settings]


async def test_a_wrong_file_changes_nothing_and_its_mistakes_are_told(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.write(YAML + "default_tier: prp\n")
    await house.reloader.reload_and_log(Origin(FILE))
    (outcome,) = house.told
    assert (outcome.result, outcome.before) == (REFUSED, outcome.after)
    (line,) = records(caplog, "configuration refused, the one before stays in force")
    assert line["place"] == f"{house.path}:4: default_tier"
    assert (line["problem"], line["fix"]) == ("there is no tier prp", "did you mean pro?")
    assert house.follower.adopted == []
    assert house.reloader.latest is outcome
    house.write(YAML)
    await house.reloader.reload_and_log(Origin(SIGHUP))
    assert house.told[1].result == UNCHANGED
    assert house.reloader.counts == {REFUSED: 1, UNCHANGED: 1}


async def test_no_secret_is_told(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.write(YAML.replace("geheim", "anders"))
    outcome = await house.reloader.reload(Origin(FILE))
    assert outcome.before != outcome.after
    assert "geheim" not in str(outcome) + caplog.text
    assert "anders" not in str(outcome) + caplog.text


async def test_what_the_service_cannot_follow_stops_all_of_it(house: House) -> None:
    house.follower.refusals.append(ConfigError("service.identities", "needs a restart"))
    house.write(BIGGER)
    with pytest.raises(ConfigErrors, match=r"service.identities: needs a restart"):
        await house.reloader.reload(Origin(FILE))
    assert house.cap == 25
    plan = (await house.reloader.plan(ADMIN)).plan
    assert [error.place for error in plan.refusals] == ["service.identities"]


async def test_what_the_manager_refuses_is_not_followed_by_the_service(house: House) -> None:
    house.write(YAML + "sweep_interval: 2\nservice: {grpc_port: 1}\n")
    with pytest.raises(ConfigError, match=r"service.grpc_port: .*needs a restart"):
        await house.reloader.reload(Origin(FILE))
    assert house.follower.adopted == []


async def test_a_dry_run_leaves_no_trace(house: House) -> None:
    house.write(BIGGER)
    outcome = await house.reloader.reload(Origin("call", ADMIN), dry_run=True)
    assert outcome.changes == ("tier pro: cap 25 → 30 (1 tenant)",)
    assert outcome.after != house.manager.roster.digest == outcome.before
    assert (house.told, house.reloader.latest, house.reloader.counts) == ([], None, {})


async def test_another_digest_than_expected_is_a_conflict_and_no_fault_of_the_file(
    house: House,
) -> None:
    for dry_run in (False, True):
        with pytest.raises(ConfigConflict, match="somebody has changed it"):
            await house.reloader.reload(Origin("call"), expected="0" * 32, dry_run=dry_run)
    assert house.told == []


async def test_a_text_holds_until_the_file_is_read_again(house: House) -> None:
    await house.reloader.reload(Origin("call", ADMIN), yaml=BIGGER)
    assert house.cap == 30
    await house.reloader.reload(Origin(SIGHUP))
    assert house.cap == 25


async def test_changes_wait_for_each_other(house: House) -> None:
    caps = range(26, 36)
    texts = [YAML + f"tiers: {{pro: {{cap: {cap}}}}}\n" for cap in caps]
    reload = house.reloader.reload
    outcomes = await asyncio.gather(*(reload(Origin("call"), yaml=text) for text in texts))
    for earlier, later in pairwise(outcomes):
        assert later.before == earlier.after
    assert house.cap == 35


async def test_all_who_ask_before_the_file_is_read_share_what_it_says(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantpool.service.reload._REST", 0.05)
    house.write(BIGGER)
    outcomes = await asyncio.gather(*(house.reloader.reload(Origin("call")) for _ in range(100)))
    assert [outcome.result for outcome in outcomes] == [APPLIED] * 100
    assert house.reloader.counts == {APPLIED: 1}
    asked = [house.reloader.reload(Origin("call", who)) for who in (ADMIN, None) for _ in range(9)]
    names = [outcome.origin.author for outcome in await asyncio.gather(*asked)]
    assert names == ["ops"] * 9 + [""] * 9
    assert house.reloader.counts == {APPLIED: 1, UNCHANGED: 2}
    house.write(YAML)  # nobody has been promised that this would not be read
    started = time.monotonic()
    assert (await house.reloader.reload(Origin("call"))).result == APPLIED
    assert time.monotonic() - started < 5
    assert house.cap == 25


async def test_who_asks_while_the_file_is_read_gets_what_it_says_after_that(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()
    read = house.reloader.read

    async def slowly(yaml: str = "") -> Settings:
        found = await read(yaml)
        reading.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(house.reloader, "read", slowly)
    first = asyncio.create_task(house.reloader.reload(Origin("call")))
    await reading.wait()
    house.write(BIGGER)
    second = asyncio.create_task(house.reloader.reload(Origin("call")))
    go_on.set()
    assert ((await first).result, (await second).result) == (UNCHANGED, APPLIED)


async def test_closing_does_not_wait_for_the_rest(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenantpool.service.reload._REST", 3600.0)
    await house.reloader.reload(Origin("call"))
    waiting = asyncio.create_task(house.reloader.reload(Origin("call")))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await house.reloader.close()
        assert (await waiting).result == UNCHANGED


async def test_the_event_loop_gets_its_turn_soon_while_a_file_is_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, seen = sys.getswitchinterval(), list[float]()
    load = house.source.load

    def watched() -> Settings:
        seen.append(sys.getswitchinterval())
        return load()

    monkeypatch.setattr(house.source, "load", watched)
    await asyncio.gather(*(house.reloader.read() for _ in range(3)))
    assert seen == [pytest.approx(0.0005)] * 3
    assert sys.getswitchinterval() == usual


async def test_a_caller_that_goes_does_not_stop_a_change_half_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    apply = house.manager.apply

    async def slowly(*settings: Settings | None, **more: Any) -> Plan:
        entered.set()
        await go_on.wait()
        return await apply(*settings, **more)

    monkeypatch.setattr(house.manager, "apply", slowly)
    house.write(BIGGER)
    caller = asyncio.create_task(house.reloader.reload(Origin("call", ADMIN)))
    await entered.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert house.cap == 25
    go_on.set()
    await house.reloader.close()
    assert house.cap == 30
    assert house.told[0].result == APPLIED


async def test_warnings_are_among_the_changes(house: House) -> None:
    house.follower.warnings.append("ops, who asks for this, may not administer any more")
    house.write(BIGGER)
    assert (await house.reloader.plan(ADMIN)).lines[-1] == house.follower.warnings[0]
    outcome = await house.reloader.reload(Origin("call", ADMIN))
    assert outcome.changes[-1] == house.follower.warnings[0]


async def test_secrets_and_what_beats_the_file_are_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TENANTPOOL_CONFIG", raising=False)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "databases__main__password").write_text("one")
    source = Source(None, secrets, databases={"main": {"conninfo": "host=/nowhere"}})
    assert source.changes
    before = source.load()
    (secrets / "databases__main__password").write_text("two")
    assert source.read_again().digest != before.digest
    parsed = source.parse("tiers: {pro: {cap: 30}}")
    assert parsed.databases["main"].password == source.load().databases["main"].password


# -- who is locked out -------------------------------------------------------------------------


Rule = dict[str, object]


def identities(**rules: Rule) -> Settings:
    return settings({"identities": rules})


def test_a_plan_says_who_is_locked_out() -> None:
    ops: Rule = {"token": "a-token-of-the-operator", "administer": True}
    tokens = ["a-token-of-the-worker", "another-of-the-worker"]
    worker: Rule = {"tokens": tokens, "tenants": ["*"]}
    old = identities(ops=ops, worker=worker).service
    guard = Guard(old)
    caller = guard.on_unix(None, "a-token-of-the-operator")
    first, second = (guard.on_unix(None, token) for token in tokens)
    workers = [first, first, second]

    def said(**rules: Rule) -> list[str]:
        return list(lockouts(old, identities(**rules).service, caller, workers))

    assert said(ops=ops, worker=worker) == []
    assert said(ops=ops, worker={**worker, "tokens": ["another-of-the-worker"]}) == [
        "sessions of worker end, as it is not known any more or may not lease: 2"
    ]
    assert said(other={**ops, "token": "a-token-of-another"}, worker=worker) == [
        "ops, who asks for this, may not administer any more"
    ]
    assert said(worker=worker) == [
        "nobody may administer any more: further changes must come through the file"
    ]
