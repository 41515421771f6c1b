"""What insight looks for, as plain values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """Thresholds and limits; durations are in seconds. Raises ValueError where one makes no sense.

    The section ``insight`` of the configuration has the same values.
    """

    slow: float = 0.5
    """A statement that takes this long is slow."""
    cut: int = 200
    """Characters of a statement that are shown."""
    repeats: int = 10
    """How often a statement of one shape may be run in one lease, less than a second apart."""
    long_lease: float = 60.0
    """A lease that is held for this long is reported."""
    idle_in_transaction: float = 10.0
    """So is one that does nothing in an open transaction for this long."""
    explain: bool = False
    """Whether the plans of slow reads are looked at."""
    explain_analyze: bool = False
    """Whether reads without parameters are run once more for that, in a read-only transaction."""
    explain_interval: float = 300.0
    """The plan of one shape is looked at only once in this time."""
    explain_timeout: float = 1.0
    """Longest such look."""
    log_interval: float = 60.0
    """The same finding is logged only once in this time, and counted always; 0: each time."""
    findings: int = 256
    """How many findings are kept, the latest ones."""
    tenants: int = 1000
    """For how many tenants findings are counted, those of the latest ones."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            least = {"log_interval": 0, "repeats": 2, "cut": 1, "findings": 1, "tenants": 1}
            if isinstance(value, bool):
                continue
            if value < least.get(name, 0) or (name not in least and value == 0):
                raise ValueError(f"{name}: {value!r} is too small")
