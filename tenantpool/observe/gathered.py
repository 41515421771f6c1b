"""What statements and leases told: the same thing once, with all tenants that it is of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zlib import crc32

from tenantpool.insight.finding import KINDS, Finding, Kind

from .look import Look

WORDS: Final[dict[Kind, str]] = {kind: kind for kind in KINDS} | {"repeated statement": "N+1"}
"""Kinds as operators call them."""


class Gathered(NamedTuple):
    """One thing that was found of one tenant or of many."""

    latest: Finding
    tenants: Sequence[str]
    """The latest first."""
    times: int

    @property
    def kind(self) -> str:
        """As operators call it."""
        return WORDS[self.latest.kind]

    @property
    def id(self) -> str:
        """Stays as it is while the figures change. It tells nothing of the statement."""
        return f"{crc32(repr(_same(self.latest)).encode()):08x}"


def gathered(look: Look, tenant: str | None = None) -> list[Gathered]:
    """What was found of *tenant* or of all, the latest first. Does not block."""
    return gather(look.source.findings.findings(tenant))


def gather(findings: Iterable[Finding]) -> list[Gathered]:
    """What differs in nothing but the tenant, together. *findings* are the latest first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault(_same(finding), []).append(finding)
    return [
        Gathered(
            same[0],
            list(dict.fromkeys(finding.tenant for finding in same)),
            sum(finding.times for finding in same),
        )
        for same in groups.values()
    ]


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
