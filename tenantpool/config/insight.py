"""Query insight as the operator writes it. Every duration is in seconds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tenantpool.config.fields import CountFromOne, Seconds, SecondsOrZero
from tenantpool.config.section import Section
from tenantpool.insight.options import Options

_DEFAULT = Options()


class Insight(Section):
    """What is looked for in statements and leases. Off by default."""

    enabled: bool = Field(False, description="Whether statements and leases are looked at.")
    slow: Seconds = Field(
        _DEFAULT.slow, description="A statement that takes this long is slow, in seconds."
    )
    cut: CountFromOne = Field(
        _DEFAULT.cut,
        description="Characters of a statement that are shown; its values never are.",
    )
    repeats: Annotated[CountFromOne, Field(ge=2)] = Field(
        _DEFAULT.repeats,
        description="How often statements of one shape may be run in one lease, less than a "
        "second apart, before they are reported (N+1).",
    )
    long_lease: Seconds = Field(
        _DEFAULT.long_lease, description="A lease held for this long is reported, in seconds."
    )
    idle_in_transaction: Seconds = Field(
        _DEFAULT.idle_in_transaction,
        description="So is one that does nothing in an open transaction for this long, in seconds.",
    )
    explain: bool = Field(
        _DEFAULT.explain,
        description="Whether the plans of slow reads are looked at, when their lease is returned "
        "and nobody waits for the connection. With parameters from PostgreSQL 16 on.",
    )
    explain_analyze: bool = Field(
        _DEFAULT.explain_analyze,
        description="Whether slow reads without parameters are run once more for that, in a "
        "read-only transaction; functions that they call are, too.",
    )
    explain_interval: Seconds = Field(
        _DEFAULT.explain_interval,
        description="The plan of one shape is looked at only once in this time, in seconds.",
    )
    explain_timeout: Seconds = Field(
        _DEFAULT.explain_timeout, description="Longest such look, in seconds."
    )
    log_interval: SecondsOrZero = Field(
        _DEFAULT.log_interval,
        description="The same finding is logged once in this time, in seconds; 0: each time.",
    )
    findings: CountFromOne = Field(
        _DEFAULT.findings, description="How many findings are kept, the latest ones."
    )
    tenants: CountFromOne = Field(
        _DEFAULT.tenants,
        description="For how many tenants findings are counted, those of the latest ones.",
    )

    def options(self) -> Options:
        """The same values as insight reads them."""
        return Options(**self.model_dump(exclude={"enabled"}))
