"""Scaling by use, as the operator writes it in a tier."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tenantpool.config.fields import CountFromOne, Fraction, Seconds, SecondsOrZero
from tenantpool.config.section import Section
from tenantpool.core.autoscale import AutoscaleLimits


class Autoscale(Section):
    """Each tenant's cap follows its use; ``cap`` is where it begins."""

    floor: CountFromOne = Field(description="The cap never shrinks below this.")
    ceiling: CountFromOne = Field(
        description="The cap never grows above this, nor above the database's capacity."
    )
    interval: Seconds = Field(
        5.0, description="Time between two samples, in seconds; ten samples decide."
    )
    up_at: Fraction = Field(
        0.8, description="The cap grows by half when a larger part of it was in use."
    )
    down_at: Fraction = Field(
        0.3,
        description="The cap shrinks by 30 % when a smaller part of it was in use; at most half "
        "of up_at.",
    )
    cooldown: SecondsOrZero = Field(
        300.0, description="It does not shrink for this long after it grew, in seconds."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.floor > self.ceiling:
            raise ValueError(f"floor {self.floor} is more than ceiling {self.ceiling}")
        if self.down_at > self.up_at / 2:
            raise ValueError(
                f"down_at {self.down_at:g} is more than half of up_at {self.up_at:g}: "
                "what grows by half would shrink again at once"
            )
        return self

    def limits(self) -> AutoscaleLimits:
        """The same values as the core reads them."""
        return AutoscaleLimits(**self.model_dump())
