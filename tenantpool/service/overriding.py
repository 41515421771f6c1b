"""Temporary changes of single tenants by operators: made, listed, and undone at their time."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tenantpool.concurrency import AsyncAlarm, AsyncCompanion
from tenantpool.config.explain import did_you_mean
from tenantpool.config.overrides import Override, Overrides
from tenantpool.config.roster import Roster
from tenantpool.config.settings import Settings
from tenantpool.errors import BadRequest, ConfigError, UnknownTenant
from tenantpool.journal import logger, report

from .identity import Identity
from .override_store import OverrideStore
from .reload import END_OF_OVERRIDE, OVERRIDE, Origin, Reloader

SUSPENDED, NOT_SUSPENDED = "suspended", "not suspended"

_LONGEST_NAP = 30.0
"""Seconds between two looks at the clock, which may be set meanwhile."""
_LONGEST_REASON = 200


class Wish(NamedTuple):
    """What an operator wants of a tenant: a tier, or that it is suspended or not."""

    tenant: str
    tier: str | None
    suspended: bool | None
    until: float | None
    """Seconds since 1970; None: no end."""
    reason: str


class Made(NamedTuple):
    """What became of it."""

    override: Override | None
    """None: a suspension was ended by undoing the override that made it."""
    changes: tuple[str, ...]


class Overriding:
    """Keeps the overrides of *reloader*'s manager in *store*, and undoes them at their time.

    Saved before they are applied: what an operator was told of is never lost.
    """

    def __init__(
        self, reloader: Reloader, store: OverrideStore, now: Callable[[], float] = time.time
    ) -> None:
        self._reloader = reloader
        self._store = store
        self._now = now
        self._alarm = AsyncAlarm()
        self._companion = AsyncCompanion("tenantpool-overrides")
        self._is_stopped = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._store!r}>"

    def start(self) -> None:
        """Begin to watch the time. Does not block."""
        self._companion.start(self._keep_time)

    async def stop(self) -> None:
        """Undo no more: what ends meanwhile is not in force after the next start."""
        self._is_stopped = True
        self._alarm.ring()
        await self._companion.join()

    async def set(self, wish: Wish, author: Identity) -> Made:
        """Fulfil *wish*; an override of the same kind and tenant is replaced.

        Raises BadRequest and ConfigError; nothing has been changed then.
        """
        return await self._reloader.finish(self._set(wish, author))

    async def remove(self, id_: str, author: Identity) -> tuple[str, ...]:
        """Undo it; return what changed. Raises BadRequest if there is none of that id."""
        return await self._reloader.finish(self._remove(id_, Origin(OVERRIDE, author)))

    # -- inside --------------------------------------------------------------------------------

    async def _set(self, wish: Wish, author: Identity) -> Made:
        async with self._reloader.turn() as roster:
            self._check(roster, wish)
            origin, old = Origin(OVERRIDE, author), roster.overrides
            if _is_undone_by_removing(roster, wish):
                suspension = old.suspension(wish.tenant)
                assert suspension is not None
                return Made(None, await self._apply(origin, old, old.remove(suspension.id)))
            override = self._make(wish, author.name, old)
            return Made(override, await self._apply(origin, old, old.add(override)))

    async def _remove(self, id_: str, origin: Origin) -> tuple[str, ...]:
        async with self._reloader.turn() as roster:
            if id_ not in roster.overrides:
                raise BadRequest(f"there is no override {id_} (any more)")
            return await self._apply(origin, roster.overrides, roster.overrides.remove(id_))

    async def _apply(self, origin: Origin, old: Overrides, new: Overrides) -> tuple[str, ...]:
        await asyncio.to_thread(self._store.save, new)
        try:
            changes = await self._reloader.apply(origin, overrides=new)
        except BaseException:
            await asyncio.to_thread(self._store.save, old)
            raise
        self._alarm.ring()
        return changes

    def _make(self, wish: Wish, author: str, others: Overrides) -> Override:
        id_ = secrets.token_hex(3)
        while id_ in others:
            id_ = secrets.token_hex(3)
        return Override(
            tenant=wish.tenant,
            tier=wish.tier,
            suspended=wish.suspended,
            until=wish.until,
            author=author,
            reason=" ".join(wish.reason.split()),
            made_at=self._now(),
            id=id_,
        )

    def _check(self, roster: Roster, wish: Wish) -> None:
        if wish.until is not None and wish.until <= self._now():
            raise BadRequest("the end of the override is over already")
        if len(wish.reason) > _LONGEST_REASON:
            raise BadRequest(f"reason has more than {_LONGEST_REASON} characters")
        tiers = roster.settings.tiers
        if wish.tier is not None and wish.tier not in tiers:
            hint = did_you_mean(wish.tier, tiers) or f"one of {', '.join(tiers)}"
            raise ConfigError("tier", f"there is no tier {wish.tier}", hint)
        try:
            spec = roster.tenant(wish.tenant)
        except UnknownTenant as error:
            hint = did_you_mean(wish.tenant, roster.settings.tenants)
            raise ConfigError(
                "tenant", f"{wish.tenant or '(empty)'} is no tenant: {error.limit}", hint
            ) from None
        if wish.suspended is False and not spec.suspended:
            raise BadRequest(f"{wish.tenant} is not suspended")

    # -- time ----------------------------------------------------------------------------------

    async def _keep_time(self) -> None:
        while not self._is_stopped:
            try:
                left = await self._undo_expired()
            except Exception as error:
                # Without it no override would ever end.
                if not isinstance(error, ConfigError):
                    logger.exception("undoing overrides failed, going on")
                else:
                    report(logging.ERROR, "override not undone", error=error)
                left = _LONGEST_NAP
            await self._alarm.wait(min(left, _LONGEST_NAP))

    async def _undo_expired(self) -> float:
        """Undo those whose time is over; return the seconds until the next one ends."""
        async with self._reloader.turn() as roster:
            overrides = roster.overrides
            if over := overrides.expired(self._now()):
                new = overrides.remove(*(override.id for override in over))
                await self._apply(Origin(END_OF_OVERRIDE), overrides, new)
                overrides = new
            end = overrides.next_end()
        return _LONGEST_NAP if end is None else max(0.0, end - self._now())


def in_force(overrides: Overrides, now: float) -> Overrides:
    """*overrides* without those that have ended."""
    return overrides.remove(*(override.id for override in overrides.expired(now)))


def without_effect(overrides: Overrides, settings: Settings) -> Iterator[str]:
    """Those that name a tier that is not in *settings*, in words."""
    for override in overrides.values():
        if override.tier is not None and override.tier not in settings.tiers:
            yield f"{override.tenant}: {override} does nothing, there is no tier {override.tier}"


def without(roster: Roster, override: Override) -> str:
    """What would hold for its tenant without it; empty: there is no such tenant (any more)."""
    rest = roster.with_overrides(roster.overrides.remove(override.id))
    try:
        spec = rest.tenant(override.tenant)
    except UnknownTenant:
        return ""
    if override.tier is not None:
        return spec.limits.tier
    return SUSPENDED if spec.suspended else NOT_SUSPENDED


def _is_undone_by_removing(roster: Roster, wish: Wish) -> bool:
    """Whether a suspension ends by itself when the override is gone that made it."""
    suspension = roster.overrides.suspension(wish.tenant)
    if wish.suspended is not False or suspension is None or wish.until is not None:
        return False
    return without(roster, suspension) == NOT_SUSPENDED
