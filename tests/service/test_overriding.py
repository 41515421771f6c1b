"""Overrides are made, survive, and are undone at their time."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from tenantpool.config.overrides import Override, Overrides
from tenantpool.config.roster import Roster
from tenantpool.errors import BadRequest, ConfigError
from tenantpool.manager._async.manager import AsyncManager
from tenantpool.service.identity import Identity
from tenantpool.service.override_store import OverrideStore
from tenantpool.service.overriding import Overriding, Wish, in_force, without, without_effect
from tenantpool.service.reload import Reloader
from tenantpool.service.source import Source
from tests.support.wait import wait_until_async

from .support import Follower, settings

OPS = Identity("ops", may_administer=True)
TENANTS = {"acme": {"tier": "pro"}, "lazy": {"suspended": True}}


class House:
    """Overrides in a folder, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 1e9
        self.store = OverrideStore(folder, "test")
        roster = Roster(settings(tenants=TENANTS), overrides=self.store.load())
        self.manager = AsyncManager(roster)
        self.reloader = Reloader(self.manager, Source(), Follower())
        self.overriding = Overriding(self.reloader, self.store, lambda: self.now)

    async def set(
        self,
        tenant: str = "acme",
        tier: str | None = None,
        suspended: bool | None = None,
        lasts: float | None = None,
    ) -> str:
        until = None if lasts is None else self.now + lasts
        made = await self.overriding.set(Wish(tenant, tier, suspended, until, "why"), OPS)
        return made.override.id if made.override is not None else ""

    def tier(self, tenant: str = "acme") -> str:
        return self.manager.roster.tenant(tenant).limits.tier

    def suspended(self, tenant: str = "acme") -> str:
        return self.manager.roster.tenant(tenant).suspended


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    async with house.manager:
        yield house
    house.store.release()


@contextmanager
def refused(manager: AsyncManager) -> Iterator[None]:
    """The manager refuses every change inside the block."""

    async def refuse(*_: object, **__: object) -> NoReturn:
        raise ConfigError("databases.main.capacity", "is too small")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manager, "apply", refuse)
        yield


async def test_what_was_said_is_on_disk(house: House, tmp_path: Path) -> None:
    await house.set(tier="enterprise")
    await house.set("lazy", suspended=True)
    again = House(tmp_path)
    assert again.tier() == "enterprise"
    assert again.manager.roster.overrides == house.manager.roster.overrides


async def test_a_second_one_of_the_same_kind_takes_the_place_of_the_first(house: House) -> None:
    await house.set(tier="enterprise")
    await house.set(suspended=True)
    last = await house.set(tier="basic")
    kinds = [(o.tier, o.suspended) for o in house.manager.roster.overrides.values()]
    assert kinds == [(None, True), ("basic", None)]
    assert (house.tier(), bool(house.suspended())) == ("basic", True)
    await house.overriding.remove(last, OPS)
    assert house.tier() == "pro"


async def test_it_is_undone_at_its_time_and_that_is_written_down(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await house.set(tier="enterprise", lasts=3600)
    house.overriding.start()
    try:
        house.now += 3599.9
        await house.set("lazy", tier="pro")  # wakes it up
        assert house.tier() == "enterprise"
        house.now += 0.1
        await house.set("lazy", tier="basic")
        await wait_until_async(lambda: house.tier() == "pro", what="the end")
    finally:
        await house.overriding.stop()
    assert [o.tenant for o in house.store.load().values()] == ["lazy"]
    fields = vars(caplog.records[-1])["fields"]
    assert (fields["source"], fields["who"]) == ("end of override", "")
    assert fields["what"].startswith("acme: enterprise → pro")


async def test_its_end_comes_by_itself(house: House) -> None:
    overriding = Overriding(house.reloader, house.store)  # with the real clock
    overriding.start()
    try:
        wish = Wish("acme", "enterprise", None, time.time() + 0.1, "")
        await overriding.set(wish, OPS)
        assert house.tier() == "enterprise"
        await wait_until_async(lambda: house.tier() == "pro", what="the end")
    finally:
        await overriding.stop()


async def test_those_that_ended_while_the_service_was_down_are_not_in_force(house: House) -> None:
    await house.set(tier="enterprise", lasts=60)
    await house.set("lazy", tier="pro")
    (kept,) = in_force(house.store.load(), house.now + 60).values()
    assert kept.tenant == "lazy"


async def test_what_cannot_be_kept_is_not_applied(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(overrides: Overrides) -> None:
        raise ConfigError("service.state", "cannot be written")

    monkeypatch.setattr(house.store, "save", fail)
    with pytest.raises(ConfigError, match="cannot be written"):
        await house.set(tier="enterprise")
    assert house.tier() == "pro"


async def test_what_cannot_be_applied_is_not_kept(house: House) -> None:
    with refused(house.manager), pytest.raises(ConfigError, match="is too small"):
        await house.set(tier="enterprise")
    assert house.store.load() == {}


async def test_an_end_that_fails_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tenantpool.service.overriding._LONGEST_NAP", 0.01)
    await house.set(tier="enterprise", lasts=60)
    house.now += 60
    with refused(house.manager):
        house.overriding.start()
        await wait_until_async(lambda: "override not undone" in caplog.text, what="the failure")
    try:
        await wait_until_async(lambda: house.tier() == "pro", what="the end")
    finally:
        await house.overriding.stop()


async def test_a_tenant_that_the_file_suspends_is_served_by_an_override(house: House) -> None:
    assert house.suspended("lazy")
    id_ = await house.set("lazy", suspended=False)
    assert not house.suspended("lazy")
    roster = house.manager.roster
    assert without(roster, roster.overrides[id_]) == "suspended"
    await house.overriding.remove(id_, OPS)
    assert house.suspended("lazy")


async def test_a_suspension_for_a_time_may_be_interrupted_for_a_time(house: House) -> None:
    await house.set(suspended=True)
    with_end = await house.set(suspended=False, lasts=60)
    assert with_end
    assert not house.suspended()


async def test_who_is_not_suspended_cannot_be_unsuspended(house: House) -> None:
    with pytest.raises(BadRequest, match="acme is not suspended"):
        await house.set(suspended=False)


async def test_a_reason_is_one_line(house: House) -> None:
    await house.overriding.set(Wish("acme", "basic", None, None, "two\nlines  of it"), OPS)
    (override,) = house.manager.roster.overrides.values()
    assert override.reason == "two lines of it"


async def test_one_whose_tier_is_gone_is_named(house: House) -> None:
    overrides = Overrides([Override("acme", "gold", None, None, "ops", "launch", 1e9, "abc123")])
    assert list(without_effect(overrides, house.manager.settings)) == [
        "acme: override abc123 by ops: launch does nothing, there is no tier gold"
    ]


async def test_what_the_tier_guarantees_must_fit(tmp_path: Path) -> None:
    store = OverrideStore(tmp_path, "test")
    made = settings(
        tiers={"enterprise": {"guarantee": 6}}, tenants=TENANTS, template={"enabled": False}
    )
    async with AsyncManager(made) as manager:
        overriding = Overriding(Reloader(manager, Source(), Follower()), store)
        wish = Wish("acme", "enterprise", None, None, "")
        with pytest.raises(ConfigError, match=r"databases.main.capacity: 5 is less than .* 6"):
            await overriding.set(wish, OPS)
        assert store.load() == {}
        store.release()
