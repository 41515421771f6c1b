"""What the service tells a worker of its own accord, as the application hears it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("tenantpool.client")


@dataclass(frozen=True)
class Drain:
    """Leases are wanted back: of *tenant*, or all of them if it is empty, for the service ends.

    What has not come back *within* seconds is cut. *reason* says why, in words.
    """

    tenant: str
    within: float
    reason: str


OnDrain = Callable[[Drain], None]


def tell(on_drain: OnDrain | None, drain: Drain) -> None:
    """Tell the application. It can do no harm to the session by raising."""
    if on_drain is None:
        return
    try:
        on_drain(drain)
    except Exception:
        logger.exception("on_drain failed")
