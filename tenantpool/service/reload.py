"""Changes the configuration while the service runs: one path, wherever the change comes from.

Read, check, compare, apply; as a whole or not at all. What is refused leaves everything as it was,
and is told in the log, by health checks and to whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from math import inf
from time import monotonic
from typing import Final, NamedTuple, Protocol, TypeVar

from tenantpool.config import Settings
from tenantpool.config.overrides import Overrides
from tenantpool.config.plan import Plan
from tenantpool.config.roster import Roster
from tenantpool.errors import ConfigConflict, ConfigError, ConfigErrors
from tenantpool.journal import logger, report
from tenantpool.manager.foresight import Impact

from .identity import Identity
from .source import Source, mistakes_of
from .turns import short_turns

T = TypeVar("T")

APPLIED: Final = "applied"
UNCHANGED: Final = "unchanged"
REFUSED: Final = "refused"

FILE: Final = "file"
SIGHUP: Final = "SIGHUP"
CALL: Final = "call"
OVERRIDE: Final = "override"
END_OF_OVERRIDE: Final = "end of override"

_REST = 1.0
"""Seconds between two readings of the source: each costs milliseconds, which leases would feel."""

_MOST_RECENT = 20
"""Outcomes that are remembered."""
_MOST_LINES = 1000
"""Lines of the log for one configuration that is wrong."""


class Origin(NamedTuple):
    """Where a change comes from, and who is behind it; None: nobody is known."""

    source: str
    who: Identity | None = None

    @property
    def author(self) -> str:
        """Who it is, by name; empty: nobody is known."""
        return self.who.name if self.who is not None else ""


class Outcome(NamedTuple):
    """What became of one try to change the configuration."""

    result: str
    """APPLIED, UNCHANGED or REFUSED."""
    origin: Origin
    at: float
    """Seconds since 1970."""
    before: str
    """Digest of what was in force."""
    after: str
    """Digest of what is in force now."""
    changes: tuple[str, ...] = ()
    mistakes: tuple[ConfigError, ...] = ()

    @property
    def worked(self) -> bool:
        """Whether what was asked for is in force."""
        return self.result != REFUSED

    @property
    def lines(self) -> tuple[str, ...]:
        """What was changed, or what is wrong."""
        return self.changes if self.worked else tuple(map(str, self.mistakes))


class Foresight(NamedTuple):
    """What a new configuration would change; nothing has been applied."""

    old: Roster
    settings: Settings
    plan: Plan
    warnings: tuple[str, ...]
    impacts: tuple[Impact, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it in words."""
        return (*self.plan.lines(), *self.warnings)


class Manager(Protocol):
    """What is asked of an AsyncManager here; None: that part stays as it is."""

    @property
    def roster(self) -> Roster:
        """What is in force."""

    async def plan(
        self, settings: Settings | None = None, *, overrides: Overrides | None = None
    ) -> Plan:
        """What ``apply`` would change. Raises ConfigError."""

    async def foresee(self, settings: Settings) -> Sequence[Impact]:
        """Whom these would hit."""

    async def apply(
        self,
        settings: Settings | None = None,
        *,
        overrides: Overrides | None = None,
        by: Mapping[str, object] | None = None,
    ) -> Plan:
        """Put it in force, as a whole or not at all, and log it with *by*. Raises ConfigError."""


class Follower(Protocol):
    """The part of the service that follows the section ``service``."""

    def check(self, settings: Settings) -> list[ConfigError]:
        """What it cannot follow without a restart."""

    def warn(self, settings: Settings, caller: Identity | None) -> list[str]:
        """What may come as a surprise: who would be locked out."""

    def adopt(self, settings: Settings) -> None:
        """Follow it from now on. Must not fail, nor block."""


Tell = Callable[[Outcome], Awaitable[None]]


async def _nobody(outcome: Outcome) -> None:
    """Nobody wants to be told."""


class Reloader:
    """Reads *source* again, and has it applied by *manager* and *follower*.

    Belongs to the event loop in which it is used. Changes wait for each other.
    """

    def __init__(self, manager: Manager, source: Source, follower: Follower) -> None:
        self.tell: Tell = _nobody
        """Called with what became of each try."""
        self.latest: Outcome | None = None
        self.recent: deque[Outcome] = deque(maxlen=_MOST_RECENT)
        """The newest first; those that changed nothing are left out."""
        self.counts: Counter[str] = Counter()
        """Tries since the service started, by result."""
        self._manager = manager
        self._source = source
        self._follower = follower
        self._turn = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._is_closing = asyncio.Event()
        self._read_at = -inf
        self._asked: dict[Origin, asyncio.Task[Outcome]] = {}
        """Readings that have not begun yet."""
        self._under_way: set[asyncio.Task[object]] = set()

    def __repr__(self) -> str:
        latest = self.latest.result if self.latest is not None else "never changed"
        return f"<{type(self).__name__} {self._source!r}, {latest}>"

    async def reload(
        self, origin: Origin, *, yaml: str = "", expected: str = "", dry_run: bool = False
    ) -> Outcome:
        """Read the source, or take *yaml* in its place, and put that in force.

        Blocks until it is. A caller that is cancelled does not stop it half-way. Raises ConfigError
        if it is refused, with every reason, and ConfigConflict if the digest in force is not
        *expected*. A *dry_run* says what would happen, and leaves no trace.

        The source is read once a second at most, however often it is asked for: who asks until
        that begins, under the same name, is answered together.
        """
        if dry_run:
            return await self._try(origin, yaml, expected)
        if yaml or expected:
            return await self.finish(self._reload(origin, yaml, expected))
        if origin not in self._asked:
            self._asked[origin] = self._begin(self._reload_soon(origin))
        return await asyncio.shield(self._asked[origin])

    async def reload_and_log(self, origin: Origin) -> None:
        """The same for those to whom nobody listens: what is wrong is in the log only."""
        try:
            await self.reload(origin)
        except ConfigError:
            return  # it is there already
        except Exception:
            logger.exception("the configuration could not be changed")

    async def plan(self, who: Identity, yaml: str = "") -> Foresight:
        """What would change if *who* reloaded the source, or *yaml*. Raises ConfigError."""
        settings = await self.read(yaml)
        foresight = await self._foresee(who, settings)
        return foresight._replace(impacts=tuple(await self._manager.foresee(settings)))

    async def read(self, yaml: str = "") -> Settings:
        """What the source, or *yaml* in its place, says. Raises ConfigError if it is wrong.

        It is read beside the event loop, one after the other.
        """
        async with self._reading:
            with short_turns():
                return await asyncio.to_thread(self._load, yaml)

    async def close(self) -> None:
        """Blocks until changes that were asked for have been made, without a rest between them."""
        self._is_closing.set()
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._is_closing.clear()

    # -- for all who change what is in force ---------------------------------------------------

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Roster]:
        """One change at a time: what is in force, and stays so inside the block."""
        async with self._turn:
            yield self._manager.roster

    async def apply(
        self,
        origin: Origin,
        settings: Settings | None = None,
        *,
        overrides: Overrides | None = None,
    ) -> tuple[str, ...]:
        """Put those in force, in a ``turn``, and write down who changed what; return the changes.

        None: that part stays as it is. Raises ConfigError: nothing has been changed then.
        """
        before, warnings = self._manager.roster.digest, list[str]()
        by = {"who": origin.author, "source": origin.source, "before": before, "after": before}
        if settings is not None:
            if refusals := self._follower.check(settings):
                raise ConfigErrors(refusals)
            warnings = self._follower.warn(settings, origin.who)
            by["after"] = settings.digest
        plan = await self._manager.apply(settings, overrides=overrides, by=by)
        if settings is not None:
            self._follower.adopt(settings)
        for what in warnings:
            report(logging.WARNING, "configuration changed", what=what, **by)
        changes = (*plan.lines(), *warnings)
        if overrides is not None:
            self.recent.appendleft(Outcome(APPLIED, origin, time.time(), before, before, changes))
        return changes

    async def finish(self, work: Coroutine[object, object, T]) -> T:
        """Do *work* to its end, even if the caller is cancelled."""
        return await asyncio.shield(self._begin(work))

    # -- inside --------------------------------------------------------------------------------

    def _begin(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(_note_error)
        return task

    async def _reload_soon(self, origin: Origin) -> Outcome:
        await self._have_a_rest()
        async with self.turn():
            self._read_at = monotonic()
            del self._asked[origin]
            return await self._read_and_change(origin, "")

    async def _have_a_rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._read_at + _REST - monotonic())):
                await self._is_closing.wait()

    async def _reload(self, origin: Origin, yaml: str, expected: str) -> Outcome:
        async with self.turn() as old:
            _expect(old, expected)
            return await self._read_and_change(origin, yaml)

    async def _read_and_change(self, origin: Origin, yaml: str) -> Outcome:
        try:
            outcome = await self._change(origin, await self.read(yaml))
        except ConfigError as error:
            await self._conclude(_refusal(origin, self._manager.roster.digest, error))
            raise
        await self._conclude(outcome)
        return outcome

    async def _change(self, origin: Origin, settings: Settings) -> Outcome:
        old = self._manager.roster
        if settings.digest == old.digest:
            return Outcome(UNCHANGED, origin, time.time(), old.digest, old.digest)
        changes = await self.apply(origin, settings)
        return Outcome(APPLIED, origin, time.time(), old.digest, settings.digest, changes)

    async def _foresee(self, who: Identity | None, settings: Settings) -> Foresight:
        plan = await self._manager.plan(settings)
        refusals = (*plan.refusals, *self._follower.check(settings))
        warnings = tuple(self._follower.warn(settings, who))
        whole = Plan(plan.changes, refusals, plan.more)
        return Foresight(self._manager.roster, settings, whole, warnings)

    async def _try(self, origin: Origin, yaml: str, expected: str) -> Outcome:
        settings = await self.read(yaml)
        foresight = await self._foresee(origin.who, settings)
        _expect(foresight.old, expected)
        if foresight.plan.refusals:
            raise ConfigErrors(foresight.plan.refusals)
        before, after = foresight.old.digest, foresight.settings.digest
        result = UNCHANGED if before == after else APPLIED
        return Outcome(result, origin, time.time(), before, after, foresight.lines)

    def _load(self, yaml: str) -> Settings:
        settings = self._source.parse(yaml) if yaml else self._source.read_again()
        _ = settings.digest  # found out here, beside the event loop
        return settings

    async def _conclude(self, outcome: Outcome) -> None:
        self.latest = outcome
        if outcome.result != UNCHANGED:
            self.recent.appendleft(outcome)
        self.counts[outcome.result] += 1
        who, source = outcome.origin.author, outcome.origin.source
        if outcome.result == UNCHANGED:
            report(logging.INFO, "configuration unchanged", who=who, source=source)
        for mistake in outcome.mistakes[:_MOST_LINES]:
            report(
                logging.ERROR,
                "configuration refused, the one before stays in force",
                place=mistake.place,
                problem=mistake.problem,
                fix=mistake.fix,
                who=who,
                source=source,
                digest=outcome.after,
            )
        await self.tell(outcome)


def _expect(roster: Roster, digest: str) -> None:
    if digest and digest != roster.digest:
        raise ConfigConflict(
            f"the configuration in force is {roster.digest}, not {digest}: somebody has changed it "
            "meanwhile; look at the plan again"
        )


def _refusal(origin: Origin, digest: str, error: ConfigError) -> Outcome:
    return Outcome(REFUSED, origin, time.time(), digest, digest, mistakes=tuple(mistakes_of(error)))


def _note_error(task: asyncio.Task[object]) -> None:
    """Its caller may have gone: then nobody else asks for the error."""
    if not task.cancelled():
        task.exception()
