"""Databases and tiers as the operator writes them. Every duration is in seconds."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr

from tenantpool.config.autoscale import Autoscale
from tenantpool.config.conninfo import validate_conninfo
from tenantpool.config.fields import (
    Capacity,
    Count,
    CountFromOne,
    Fraction,
    Password,
    Rate,
    Seconds,
    SecondsOrZero,
    ServerTimeout,
)
from tenantpool.config.section import Section, no_null
from tenantpool.core.limits import BreakerLimits, DatabaseLimits, TenantLimits


class Breaker(Section):
    """A circuit breaker: it stops connects that would fail, and tries one from time to time."""

    failures: CountFromOne = Field(3, description="Connect failures in a row that open it.")
    window: CountFromOne = Field(20, description="Latest connects that the failure rate counts.")
    failure_rate: Fraction = Field(
        0.5, description="Part of the window that must have failed to open it, above 0 up to 1."
    )
    backoff: Seconds = Field(1.0, description="How long it first stays open, in seconds.")
    backoff_max: Seconds = Field(
        30.0, description="Longest time it stays open, in seconds; each failed probe doubles it."
    )

    def limits(self) -> BreakerLimits:
        """The same values as the core reads them."""
        return BreakerLimits(**self.model_dump())


class DatabaseBreaker(Breaker):
    """The circuit breaker of a whole database server; its probes are cheap, so it looks soon."""

    failures: CountFromOne = Field(5, description="Connect failures in a row that open it.")
    backoff: Seconds = Field(0.1, description="How long it first stays open, in seconds.")
    backoff_max: Seconds = Field(
        1.0, description="Longest time it stays open, in seconds; each failed probe doubles it."
    )


class Database(Section):
    """One PostgreSQL server and its one hard limit."""

    conninfo: Annotated[SecretStr, AfterValidator(validate_conninfo)] = Field(
        description="Where the server is: a libpq string (host=... user=...) or a URL. May hold a "
        "password, which is never shown; better is a secret file or an environment variable.",
        examples=["host=db.example.com port=5432 user=tenantpool", "postgresql://tenantpool@db/"],
    )
    password: Password | None = Field(
        None, description="Password of the login role; wins over the one in conninfo."
    )
    capacity: Capacity = Field(
        "auto",
        description="Connections that tenantpool may hold on the server, all tenants together, "
        "idle ones included. auto: max_connections less the reserved ones and the headroom.",
        examples=["auto", 80],
    )
    headroom: Count = Field(5, description="Connections left to others when the capacity is auto.")
    connect_concurrency: CountFromOne = Field(4, description="Connects under way at a time.")
    connect_timeout: Seconds = Field(
        5.0,
        description="Longest connect, in seconds (libpq counts whole ones, from 2 up). A "
        "connect_timeout in conninfo wins.",
    )
    min_connection_age: SecondsOrZero = Field(
        0.0,
        description="A younger idle connection is not evicted for another pool, in seconds "
        "(guarantees excepted).",
    )
    quantum_factor: SecondsOrZero = Field(
        50.0, description="How many mean connect times a contended slot stays with its pool."
    )
    quantum_max: SecondsOrZero = Field(1.0, description="Longest such stay, in seconds.")
    check_after: SecondsOrZero = Field(
        0.5, description="A connection idle for longer is tested before it is lent, in seconds."
    )
    close_timeout: Seconds = Field(
        5.0,
        description="How long a closing backend is waited for before a warning, in seconds.",
    )
    breaker: DatabaseBreaker = Field(
        default_factory=DatabaseBreaker, description="The circuit breaker of the whole server."
    )

    def limits(self, capacity: int) -> DatabaseLimits:
        """The same values as the core reads them, with the *capacity* in connections."""
        return DatabaseLimits(
            capacity=capacity,
            breaker=self.breaker.limits(),
            **_shared(self, DatabaseLimits, "capacity", "breaker"),
        )


class Enforce(Section):
    """Which limits of a tier are in force; one that is not only counts what it would refuse."""

    cap: bool = Field(True, description="Whether a tenant at its cap has to wait.")
    max_waiting: bool = Field(True, description="Whether a full queue refuses requests.")
    rate: bool = Field(True, description="Whether requests above rate are refused.")
    max_lease: bool = Field(True, description="Whether leases longer than max_lease are ended.")

    def trial(self) -> frozenset[str]:
        """The limits that are only tried out."""
        return frozenset(name for name, enforced in self if not enforced)


_OWN = ("tier", "reset_always", "trial", "autoscale", "breaker")
"""What a tier's limits have that is not written just so."""


class Tier(Section):
    """A class of tenants and the limits that each of them gets."""

    cap: CountFromOne = Field(
        description="Most connections a tenant may use at a time, without the overflow."
    )
    min_size: Count = Field(
        0, description="Connections kept open while a pool lives, as far as there is room."
    )
    guarantee: Count = Field(
        0, description="Connections a tenant can always get back, before any weight counts."
    )
    weight: Rate = Field(1.0, description="A tenant's share when there is not enough for all.")
    overflow: Count = Field(
        0, description="Connections above cap, lent only while nobody below its cap waits."
    )
    overflow_idle: Seconds = Field(
        5.0, description="How long a connection above cap may lie idle, in seconds."
    )
    max_waiting: CountFromOne = Field(
        100, description="Most requests of a tenant that may wait; more are refused at once."
    )
    acquire_timeout: Seconds = Field(
        30.0, description="How long a request waits when its caller does not say, in seconds."
    )
    rate: Rate | None = Field(
        None, description="Most leases per second, on average; null: no limit."
    )
    burst: CountFromOne = Field(1, description="Most leases at once under rate.")
    max_lease: Seconds | None = Field(
        None, description="Longest lease in seconds, then it is revoked; null: no limit."
    )
    max_idle: Seconds = Field(
        600.0, description="How long a connection above min_size may lie idle, in seconds."
    )
    pool_idle: Seconds = Field(
        1800.0, description="How long a pool may lie idle before it is closed, in seconds."
    )
    max_lifetime: Seconds = Field(
        3600.0, description="Age at which a connection is replaced, in seconds (up to 5 % less)."
    )
    leak_after: Seconds | None = Field(
        None, description="A lease held for longer is reported, in seconds; null: never."
    )
    leak_revoke: bool = Field(False, description="Whether a reported leak is also revoked.")
    reset: Literal["switch", "always"] = Field(
        "switch",
        description="When a session is wiped: before another tenant gets it, or at every return.",
    )
    statement_timeout: ServerTimeout | None = Field(
        None, description="Longest statement, in seconds; null: the server's own limit."
    )
    idle_in_transaction_session_timeout: ServerTimeout | None = Field(
        None, description="Longest idle transaction, in seconds; null: the server's own limit."
    )
    shrink: Literal["return", "recall", "terminate"] = Field(
        "recall",
        description="How far tenantpool goes when a limit is lowered below what is in use. return: "
        "lends no more and waits; recall: also asks the holders; terminate: also ends what has not "
        "come back after shrink_grace.",
    )
    shrink_grace: Seconds = Field(
        30.0, description="How long the holders have that were asked, in seconds."
    )
    enforce: Annotated[Enforce, BeforeValidator(no_null)] = Field(
        default_factory=Enforce,
        description="Limits that are only tried out: with false they count what they would have "
        "refused, and refuse nothing.",
    )
    autoscale: Autoscale | None = Field(
        None, description="Lets each tenant's cap follow its use; null: it stays as it is."
    )
    breaker: Breaker = Field(
        default_factory=Breaker,
        description="The circuit breaker of each tenant pool; in one that several tiers "
        "share, the strictest values count.",
    )

    @property
    def ceiling(self) -> int:
        """Most connections in use at a time, overflow included."""
        return self.cap + self.overflow

    def limits(self, tier: str) -> TenantLimits:
        """The same values as the core reads them; *tier* is the name of this tier."""
        return TenantLimits(
            tier=tier,
            reset_always=self.reset == "always",
            trial=self.enforce.trial(),
            autoscale=self.autoscale.limits() if self.autoscale is not None else None,
            breaker=self.breaker.limits(),
            **_shared(self, TenantLimits, *_OWN),
        )

    def timeouts(self) -> tuple[tuple[str, str], ...]:
        """The timeouts that PostgreSQL keeps, as settings of a session, sorted by name."""
        names = ("idle_in_transaction_session_timeout", "statement_timeout")
        seconds = ((name, getattr(self, name)) for name in names)
        return tuple((name, f"{round(value * 1000)}ms") for name, value in seconds if value)


DEFAULT_TIERS: dict[str, dict[str, Any]] = {
    "basic": {"min_size": 2, "cap": 10, "weight": 1.0},
    "pro": {"min_size": 5, "cap": 25, "weight": 3.0},
    "enterprise": {"min_size": 10, "cap": 50, "weight": 10.0},
}
"""The tiers that are there without being written; a file changes them field by field."""


def _shared(model: BaseModel, limits: type, *apart: str) -> dict[str, Any]:
    """The fields that have the same name and meaning in *model* and *limits*."""
    return {f.name: getattr(model, f.name) for f in fields(limits) if f.name not in apart}
