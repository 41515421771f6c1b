"""Which alerts are on: a state machine for each, driven by what was found at a time.

inactive ──(found)──▶ pending ──(for ``after``)──▶ firing ──(gone for ``resolve_after``)──▶ resolved
   ▲                     │
   └──────(gone)─────────┘

Only what begins to fire and what is resolved is told of. Pure: time comes in with each call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from tenantpool.config.alerts import Rule

PENDING: Final = "pending"
FIRING: Final = "firing"
RESOLVED: Final = "resolved"


class Key(NamedTuple):
    """What tells one alert from another: its rule, and where it is so."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        where = ", ".join(f"{name} {value}" for name, value in self.labels)
        return f"{self.name} ({where})" if where else self.name


class Finding(NamedTuple):
    """That it is so now: how much, in a sentence, and what to do."""

    value: float
    summary: str
    description: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert at one moment. Times are seconds since the epoch."""

    name: str
    labels: Mapping[str, str]
    severity: str
    state: str
    value: float
    summary: str
    description: str
    since: float
    """When it was first found."""
    fired_at: float | None = None
    resolved_at: float | None = None


class _Entry:
    """An alert that is pending or firing; times are those of the steady clock."""

    __slots__ = ("alert", "found_at", "last_at")

    def __init__(self, now: float, alert: Alert) -> None:
        self.alert = alert
        self.found_at = self.last_at = now


class Board:
    """All alerts that are pending or firing."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Entry] = {}

    def __repr__(self) -> str:
        firing = len(self.alerts(FIRING))
        return f"<{type(self).__name__} {firing} firing, {len(self._entries) - firing} pending>"

    def alerts(self, state: str) -> list[Alert]:
        """Those in *state*, the oldest first."""
        every = (entry.alert for entry in self._entries.values())
        return sorted((a for a in every if a.state == state), key=lambda alert: alert.since)

    def update(
        self, now: float, at: float, found: Mapping[Key, Finding], rules: Mapping[str, Rule]
    ) -> Sequence[Alert]:
        """What was *found* is so; nothing else is. Return what fires and what is resolved now.

        *now* is of a steady clock and decides, *at* is the same moment since the epoch. A rule
        that is switched off, or not there any more, resolves its alerts at once.
        """
        told: list[Alert] = []
        for key, finding in found.items():
            rule = rules[key.name]
            if rule.enabled and (alert := self._found(now, at, key, finding, rule)):
                told.append(alert)
        for key in self._entries.keys() - found.keys() | _switched_off(self._entries, rules):
            if alert := self._gone(now, at, key, rules.get(key.name)):
                told.append(alert)
        return told

    def _found(self, now: float, at: float, key: Key, finding: Finding, rule: Rule) -> Alert | None:
        entry = self._entries.get(key)
        if entry is None:
            new = Alert(key.name, dict(key.labels), rule.severity, PENDING, *finding, since=at)
            entry = self._entries[key] = _Entry(now, new)
        entry.last_at = now
        value, summary, description = finding
        entry.alert = replace(
            entry.alert,
            severity=rule.severity,
            value=value,
            summary=summary,
            description=description,
        )
        if entry.alert.state == PENDING and now - entry.found_at >= rule.after:
            entry.alert = replace(entry.alert, state=FIRING, fired_at=at)
            return entry.alert
        return None

    def _gone(self, now: float, at: float, key: Key, rule: Rule | None) -> Alert | None:
        entry = self._entries[key]
        if entry.alert.state == PENDING:
            del self._entries[key]
            return None
        if rule is not None and rule.enabled and now - entry.last_at < rule.resolve_after:
            return None
        del self._entries[key]
        return replace(entry.alert, state=RESOLVED, resolved_at=at)


def _switched_off(entries: Mapping[Key, _Entry], rules: Mapping[str, Rule]) -> set[Key]:
    return {key for key in entries if key.name not in rules or not rules[key.name].enabled}
