"""Exit codes of the commands that judge: ``status`` and ``doctor``."""

from __future__ import annotations

from typing import Final

HEALTHY: Final = 0
FAILED: Final = 1
WARNING: Final = 4
CRITICAL: Final = 5

CODES: Final = {"healthy": HEALTHY, "warning": WARNING, "critical": CRITICAL}
"""By the words of ``manager.health``."""

STYLES: Final = {"healthy": "green", "warning": "yellow", "critical": "bold red"}
"""For terminals with colours; the word is always there."""
