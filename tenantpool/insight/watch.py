"""What looks at the statements of one lease."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import Any, NamedTuple, Protocol

from tenantpool.insight.advice import SLOW, SLOW_EXPLAINED, against_repeating
from tenantpool.insight.finding import Finding
from tenantpool.insight.options import Options
from tenantpool.insight.place import Place, caller
from tenantpool.insight.plan import Remark
from tenantpool.insight.sampler import is_read
from tenantpool.insight.shape import shape_of

_MOST_SHAPES = 500
"""In one lease. Those that come later are not counted, only timed."""
_IN_A_ROW = 1.0
"""Seconds between two statements of a shape after which counting begins anew: a poll is no N+1."""

_NONE: dict[str, Any] = {}
"""Never written to."""


class Source(Protocol):
    """Whose watch it is."""

    @property
    def options(self) -> Options:
        """What is found."""
        ...

    def note(self, finding: Finding) -> None:
        """Take what was found. Must not block."""
        ...


class Slow(NamedTuple):
    """A slow read whose plan may be looked at: as it was *sent*, and how many *rows* came."""

    sent: bytes
    has_params: bool
    shape: str
    rows: int
    seconds: float
    place: str


class _Run:
    """Statements of one shape, one after the other."""

    __slots__ = ("count", "ended", "place", "seconds")

    def __init__(self, seconds: float, ended: float) -> None:
        self.count = 1
        self.seconds = seconds
        self.ended = ended
        self.place: Place | None = None


class Watch:
    """Told of each statement of a lease; tells its *source* what it finds.

    It stays with its connection, for one lease after the other. A lease is used by one thread or
    task at a time, so nothing here is locked.
    """

    __slots__ = (
        *("_early", "_note", "_options", "_runs"),
        *("is_on", "last", "slow_read", "source", "tenant"),
    )

    def __init__(self, source: Source) -> None:
        self.source = source
        self.is_on = False
        """Whether a lease is watched just now."""
        self.tenant = ""
        self.last = 0.0
        """When the last statement ended, as monotonic() does; 0.0: there was none."""
        self.slow_read: Slow | None = None
        """The first slow read of the lease whose plan may be looked at."""
        self._options = source.options
        self._note = source.note
        # Most leases run so few statements that none can be one too many: those are only listed.
        self._early: list[tuple[str, float, float]] | None = []
        self._runs: dict[str, _Run] = _NONE

    def __repr__(self) -> str:
        seen = f"{len(self._early or self._runs)} statements or shapes"
        return f"<Watch of {self.tenant}: {seen}>" if self.is_on else "<Watch of no lease>"

    def begin(self, tenant: str) -> None:
        """A lease of *tenant* begins. Does not block."""
        self.tenant = tenant
        self.is_on = True
        self.last = 0.0
        self.slow_read = None
        self._early = []
        self._runs = _NONE

    def ran(self, cursor: Any, query: object, began: float) -> None:
        """A statement that *began* at this monotonic() has ended on psycopg's *cursor*."""
        self.last = ended = monotonic()
        options, early = self._options, self._early
        text = query if type(query) is str else _text(cursor, query)
        if early is None:
            self._count(text, began, ended)
        else:
            early.append((text, began, ended))
            if len(early) >= options.repeats:
                self._early, self._runs = None, {}
                for one in early:
                    self._count(*one)
        if ended - began >= options.slow:
            self._slow(cursor, shape_of(text), ended - began)

    def end(self) -> None:
        """The lease ends: tell what only its whole shows. Does not block."""
        self.is_on = False
        if self._runs:
            self._tell_repeated()

    def _tell_repeated(self) -> None:
        for shape, run in self._runs.items():
            if run.place is not None and (fix := against_repeating(shape)):
                self._repeated(shape, run, run.place, fix)

    def _count(self, text: str, began: float, ended: float) -> None:
        """Count a statement among those of its shape."""
        shape = shape_of(text)
        run = self._runs.get(shape)
        if run is None:
            if len(self._runs) < _MOST_SHAPES:
                self._runs[shape] = _Run(ended - began, ended)
            return
        if run.place is None and began - run.ended > _IN_A_ROW:
            run.count, run.seconds = 0, 0.0
        run.count += 1
        run.seconds += ended - began
        run.ended = ended
        if run.count == self._options.repeats:
            run.place = caller()

    def cut(self, shape: str) -> str:
        """As much of *shape* as is shown."""
        most = self._options.cut
        return shape if len(shape) <= most else f"{shape[: most - 1]}…"

    def _slow(self, cursor: Any, shape: str, seconds: float) -> None:
        place = str(caller())
        is_explained = self._options.explain and is_read(shape)
        self._note(
            Finding(
                "slow statement",
                self.tenant,
                f"took {seconds:.3g} s",
                SLOW_EXPLAINED if is_explained else SLOW,
                self.cut(shape),
                place,
                seconds,
            )
        )
        if is_explained and self.slow_read is None:
            sent = cursor._query  # which psycopg documents for subclasses of its cursors
            if sent is not None:
                self.slow_read = Slow(
                    sent.query, bool(sent.params), shape, cursor.rowcount, seconds, place
                )

    def planned(self, slow: Slow, remarks: Iterable[Remark]) -> None:
        """This is what the plan of a *slow* read tells. Does not block."""
        for what, fix in remarks:
            statement = self.cut(slow.shape)
            self._note(Finding("plan", self.tenant, what, fix, statement, slow.place, slow.seconds))

    def _repeated(self, shape: str, run: _Run, place: Place, fix: str) -> None:
        self._note(
            Finding(
                "repeated statement",
                self.tenant,
                f"{run.count} times in one lease, {run.seconds:.3g} s together",
                fix,
                self.cut(shape),
                str(place),
                run.seconds,
                run.count,
            )
        )


def _text(cursor: Any, query: object) -> str:
    """What was sent for a query that is no str, or what it would be."""
    sent = cursor._query
    if sent is not None:
        query = sent.query
    if isinstance(query, bytes):
        return query.decode(errors="replace")
    as_string = getattr(query, "as_string", None)
    return str(as_string(cursor)) if as_string is not None else ""
