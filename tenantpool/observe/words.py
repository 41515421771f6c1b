"""How the whole service does, in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tenantpool.manager.health import Status, Verdict

from .figures import plural
from .reading import Reading


@dataclass(frozen=True, slots=True)
class Summary:
    """A verdict, and the figures behind it."""

    status: Status
    headline: str
    detail: str


def summary(
    reading: Reading, verdicts: Mapping[str, Verdict], shut: Sequence[str], *, is_open: bool
) -> Summary:
    """Sum up *reading*; *shut* are the pools whose breakers are not closed."""
    used = sum(stats.used for stats in reading.databases.values())
    in_use = sum(stats.in_use for stats in reading.databases.values())
    capacity = sum(stats.capacity for stats in reading.databases.values())
    waiting = sum(stats.waiting for stats in reading.databases.values())
    detail = (
        f"{in_use:,} of {plural(capacity, 'connection')} lent, {used - in_use:,} more open; "
        f"{plural(waiting, 'request') if waiting else 'nobody'} waiting."
    )
    status, headline = _headline(verdicts, shut, waiting, is_open)
    return Summary(status, headline, detail)


def _headline(
    verdicts: Mapping[str, Verdict], shut: Sequence[str], waiting: int, is_open: bool
) -> tuple[Status, str]:
    if not is_open:
        return Status.WARNING, "The service takes no new leases: it is closing."
    for status in (Status.CRITICAL, Status.WARNING):
        for name, verdict in verdicts.items():
            if verdict.status is status:
                return status, f"{name}: {verdict.why}."
    if shut:
        names = ", ".join(shut[:3]) + (f" and {len(shut) - 3} more" if len(shut) > 3 else "")
        return Status.WARNING, f"Connects fail for {names}."
    if waiting:
        return Status.HEALTHY, "Busy: some requests wait for their tenant's limit."
    return Status.HEALTHY, "All is well."
