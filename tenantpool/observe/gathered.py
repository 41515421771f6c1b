"""What statements and leases told: the same thing once, with all tenants that it is of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from zlib import crc32

from tenantpool.insight.finding import KINDS, Finding, Kind

if TYPE_CHECKING:
    from .look import Look

WORDS: Final[dict[Kind, str]] = {kind: kind for kind in KINDS} | {"repeated statement": "N+1"}
"""Kinds as operators call them."""

_SLICE = 250
"""Findings that are gathered before others may go on: about a millisecond."""


@dataclass(slots=True)
class Gathered:
    """One thing that was found of one tenant or of many."""

    latest: Finding
    times: int = 0
    _tenants: dict[str, None] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Found once more, before or of another tenant."""
        self.times += finding.times
        self._tenants[finding.tenant] = None

    @property
    def tenants(self) -> list[str]:
        """The latest first."""
        return list(self._tenants)

    @property
    def kind(self) -> str:
        """As operators call it."""
        return WORDS[self.latest.kind]

    @property
    def id(self) -> str:
        """Stays as it is while the figures change. It tells nothing of the statement."""
        return f"{crc32(repr(_same(self.latest)).encode()):08x}"


async def gathered(
    look: Look, tenant: str | None = None, most: int | None = None
) -> list[Gathered]:
    """What was found of *tenant* or of all, the latest first; of the *most* latest findings.

    Lets others go on after each few hundred.
    """
    return await gathered_from(look.source.findings.findings(tenant)[:most])


async def gathered_from(findings: Sequence[Finding]) -> list[Gathered]:
    """The same of *findings*, which come the latest first."""
    groups: dict[tuple[str, ...], Gathered] = {}
    for start in range(0, len(findings), _SLICE):
        gather(groups, findings[start : start + _SLICE])
        await asyncio.sleep(0)
    return list(groups.values())


def gather(groups: dict[tuple[str, ...], Gathered], findings: Iterable[Finding]) -> None:
    """Add *findings*, the latest first: what differs in nothing but the tenant is one thing."""
    for finding in findings:
        key = _same(finding)
        group = groups.get(key)
        if group is None:
            group = groups[key] = Gathered(finding)
        group.add(finding)


def matching(found: Iterable[Gathered], text: str, kind: str) -> list[Gathered]:
    """Those of that *kind*, with *text* in a tenant's name or in the place in its code.

    Texts of statements are not searched: not all who look may read them.
    """
    text = text.casefold()
    return [
        one
        for one in found
        if (not kind or one.kind == kind)
        and (not text or any(text in word.casefold() for word in (one.latest.place, *one.tenants)))
    ]


def _same(finding: Finding) -> tuple[str, ...]:
    kind, _, *rest = finding.key
    return (kind, *rest)
