"""What an examination found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tenantpool.cli.health import CRITICAL, HEALTHY, WARNING


class Finding(StrEnum):
    """From fine to bad."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


CODES = {Finding.OK: HEALTHY, Finding.WARNING: WARNING, Finding.PROBLEM: CRITICAL}
"""The exit code of the worst."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    subject: str
    """What: ``database main: capacity``."""
    finding: Finding
    seen: str
    """In words, with the figures."""
    remedy: str = ""
    """What to do: the setting and its value."""


def ok(subject: str, seen: str) -> Check:
    """It is as it should be."""
    return Check(subject, Finding.OK, seen)


def warning(subject: str, seen: str, remedy: str) -> Check:
    """It works, and may not for long, or not for everybody."""
    return Check(subject, Finding.WARNING, seen, remedy)


def problem(subject: str, seen: str, remedy: str) -> Check:
    """It does not work, or will not under load."""
    return Check(subject, Finding.PROBLEM, seen, remedy)
