"""What a new configuration would change, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tenantpool.config.roster import Roster
from tenantpool.errors import ConfigError


class Change(NamedTuple):
    """One thing that will be different."""

    kind: str
    """What it is about: database, tier, default_tier, template, tenant, catalog, service, ..."""
    subject: str
    """The name of it; may be empty."""
    text: str
    """The whole change in words, subject included; never a secret."""
    live: bool = True
    """Whether it can be made without a restart."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Plan:
    """What changes from one roster to another."""

    changes: tuple[Change, ...]
    refusals: tuple[ConfigError, ...]
    """What cannot be changed live; if there is any, nothing is applied."""


def plan(old: Roster, new: Roster, tenants: Iterable[str] = ()) -> Plan: ...


def plan_steps(old: Roster, new: Roster, tenants: Iterable[str] = ()) -> Iterator[Plan | None]: ...
