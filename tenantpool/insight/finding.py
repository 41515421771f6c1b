"""What was found, as data and as words."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

Kind = Literal["slow statement", "repeated statement", "plan", "long lease", "idle in transaction"]
KINDS: tuple[Kind, ...] = (
    "slow statement",
    "repeated statement",
    "plan",
    "long lease",
    "idle in transaction",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should be looked at, and what would help. It holds no value of a statement.

    *statement* is a shape (``?`` for each value), cut; *place* is ``file:line in function`` of the
    code that ran it, or that took the lease; *count* statements took *seconds* together. The same
    may be found many *times*: the figures are the latest ones. *last*: when, as time.time() does.
    *worker* names the one that found it, if it was reported to the service.
    """

    kind: Kind
    tenant: str
    what: str
    fix: str
    statement: str = ""
    place: str = ""
    seconds: float = 0.0
    count: int = 1
    times: int = 1
    last: float = 0.0
    worker: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What it has in common with others that say the same again."""
        # The words of a plan hold figures, which change; those of others are of the same kind.
        about = self.what.split(":")[0] if self.kind == "plan" else ""
        return (self.kind, self.tenant, self.statement, self.place, about)

    def __str__(self) -> str:
        statement = f" [{self.statement}]" if self.statement else ""
        place = f", at {self.place}" if self.place else ""
        return f"{self.tenant}: {self.kind}: {self.what}{place}{statement}. {self.fix}"


@dataclass(slots=True)
class Counts:
    """How often each kind was found, of one tenant."""

    slow: int = 0
    repeated: int = 0
    plans: int = 0
    long_leases: int = 0
    idle_in_transaction: int = 0

    def add(self, kind: Kind, times: int = 1) -> None:
        """So many more of *kind*."""
        match kind:
            case "slow statement":
                self.slow += times
            case "repeated statement":
                self.repeated += times
            case "plan":
                self.plans += times
            case "long lease":
                self.long_leases += times
            case "idle in transaction":
                self.idle_in_transaction += times

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        names = [field.name for field in fields(self)]
        return Counts(*(getattr(self, name) + getattr(other, name) for name in names))
