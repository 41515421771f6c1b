"""Chance in tests."""

from __future__ import annotations

import os
import random

SEED = os.environ.get("TENANTPOOL_STRESS_SEED", "tenantpool")


class Dice(random.Random):
    """Chance that can be had again: print it with a failure."""

    def __init__(self, name: object) -> None:
        super().__init__(f"{SEED} {name}")

    def chance(self, probability: float) -> bool:
        """Whether something happens that happens in *probability* of all cases."""
        return self.random() < probability
