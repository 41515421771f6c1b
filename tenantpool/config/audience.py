"""How many tenants a change of a tier, the default tier or the template concerns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from tenantpool.config.roster import Roster

_SLICE = 2048
"""Tenants that are counted before others may run: half a millisecond."""


class Audience:
    """The tenants of a roster, counted: those that are listed, and *active* ones that are not."""

    def __init__(self, roster: Roster, active: Iterable[str]) -> None:
        self._roster = roster
        self._active = active
        self._places = roster.listing.places()
        self.by_tier: Counter[str] = Counter()
        self.without_tier = 0
        """Tenants that get the default tier."""
        self.by_template = 0
        """Tenants that are not listed."""

    def __repr__(self) -> str:
        return f"<Audience tiers={dict(self.by_tier)} unlisted={self.by_template}>"

    def listed_in_database(self, name: str) -> int:
        """Rows of the catalog that name this database."""
        return sum(n for (_, database), n in self._places.items() if database == name)

    def listed_in_tier(self, name: str) -> int:
        """Rows of the catalog that name this tier."""
        return sum(n for (tier, _), n in self._places.items() if tier == name)

    def count(self) -> Iterator[None]:
        """Count; others may run wherever this yields."""
        settings = self._roster.settings
        by_tier: Counter[str | None] = Counter()
        for number, entry in enumerate(settings.tenants.values()):
            if not number % _SLICE:
                yield
            by_tier[entry.tier] += 1
        for (tier, _), rows in self._places.items():
            by_tier[tier] += rows
        for number, name in enumerate(self._active):
            if not number % _SLICE:
                yield
            if not self._roster.lists(name):
                self.by_template += 1
        by_tier[settings.template.tier] += self.by_template
        self.without_tier = by_tier.pop(None, 0)
        by_tier[settings.default_tier] += self.without_tier
        self.by_tier = Counter({tier: n for tier, n in by_tier.items() if tier is not None})
