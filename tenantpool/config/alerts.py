"""Alerts as the operator writes them: which rules are in force, and who is told."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints

from tenantpool.config.fields import Fraction, Seconds, SecondsOrZero
from tenantpool.config.section import Section, no_null, no_nulls

Severity = Literal["warning", "critical"]

_PRINTED = re.compile(r"[!-~]+")
"""What an address on the web is written in."""
_SECRET = re.compile(r".{16,}", re.DOTALL)


def _url(value: SecretStr) -> SecretStr:
    """Its path may be all that protects it, so no error may show it."""
    try:
        parts = urlsplit(value.get_secret_value())
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not _PRINTED.fullmatch(value.get_secret_value()):
        raise ValueError("must be a URL that begins with https:// or http://")
    if parts.username is not None:
        raise ValueError("must not have a user in it; sign with secret")
    return value


def _secret(value: SecretStr) -> SecretStr:
    if not _SECRET.fullmatch(value.get_secret_value()):
        raise ValueError("must have at least 16 characters, so that it is not found by trying")
    return value


WebhookName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,63}\z")]


class Rule(Section):
    """Something that should not be, and for how long it may."""

    enabled: bool = Field(True, description="Whether it is looked for.")
    after: SecondsOrZero = Field(
        60.0, description="How long it must be so before the alert fires, in seconds."
    )
    resolve_after: SecondsOrZero = Field(
        60.0, description="How long it must be over before the alert is resolved, in seconds."
    )
    severity: Severity = Field("warning", description="How bad it is: warning or critical.")


class WaitTooLong(Rule):
    """Tenants of a tier wait long for connections."""

    above: Seconds = Field(
        1.0,
        le=50,
        description="Wait in seconds that one lease in a hundred of five minutes exceeds.",
    )
    after: SecondsOrZero = Field(
        300.0, description="How long it must be so before the alert fires, in seconds."
    )


class Saturated(Rule):
    """A database is full, and requests wait."""

    above: Fraction = Field(0.9, description="Part of the capacity that is lent.")
    after: SecondsOrZero = Field(
        600.0, description="How long it must be so before the alert fires, in seconds."
    )


class BreakerOpen(Rule):
    """A database cannot be reached."""

    severity: Severity = Field("critical", description="How bad it is: warning or critical.")


class TenantBreakersOpen(Rule):
    """Single tenants cannot connect."""

    after: SecondsOrZero = Field(
        300.0, description="How long it must be so before the alert fires, in seconds."
    )


class Leaks(Rule):
    """Leases were held for longer than ``leak_after``."""

    within: Seconds = Field(900.0, le=900, description="How long each is told of, in seconds.")
    after: SecondsOrZero = Field(
        0.0, description="How long it must be so before the alert fires, in seconds."
    )


class Refusals(Rule):
    """Requests of a tier are refused."""

    above: Fraction = Field(0.01, description="Part of the requests of five minutes.")
    after: SecondsOrZero = Field(
        300.0, description="How long it must be so before the alert fires, in seconds."
    )


class ReloadFailed(Rule):
    """The last reload of the configuration was refused."""

    resolve_after: SecondsOrZero = Field(
        0.0, description="How long it must be over before the alert is resolved, in seconds."
    )


class SlotLeak(Rule):
    """Connections do not close, so that their slots cannot be lent."""

    after: SecondsOrZero = Field(
        300.0, description="How long it must be so before the alert fires, in seconds."
    )


class Overshoot(Rule):
    """More connections were begun than the capacity allows: a defect."""

    after: SecondsOrZero = Field(
        0.0, description="How long it must be so before the alert fires, in seconds."
    )
    severity: Severity = Field("critical", description="How bad it is: warning or critical.")


class Webhook(Section):
    """Somebody who is told over HTTP when an alert fires, and when it is resolved."""

    url: Annotated[SecretStr, AfterValidator(_url)] = Field(
        description="Where to send; never shown, as the URL of a chat is a secret."
    )
    template: Literal["json", "slack"] = Field(
        "json",
        description="What is sent: json, as docs/alerts.md has it, or slack, which Slack, "
        "Mattermost and Rocket.Chat understand.",
    )
    secret: Annotated[SecretStr, AfterValidator(_secret)] | None = Field(
        None, description="Signs what is sent (HMAC-SHA256); null: nothing is signed."
    )
    least: Severity = Field("warning", description="The least severity that is sent.")
    timeout: Seconds = Field(5.0, le=60, description="Longest answer, in seconds.")
    give_up_after: Seconds = Field(
        3600.0, description="How long a message is tried again, in seconds."
    )


class Alerts(Section):
    """What the service looks for while it runs, and whom it tells besides the log."""

    interval: Seconds = Field(5.0, le=60, description="Time between two looks, in seconds.")
    wait_too_long: Annotated[WaitTooLong, BeforeValidator(no_null)] = Field(
        default_factory=WaitTooLong,
        description="WaitTooLong: tenants of a tier wait long for connections.",
    )
    saturated: Annotated[Saturated, BeforeValidator(no_null)] = Field(
        default_factory=Saturated, description="Saturated: a database is full, and requests wait."
    )
    breaker_open: Annotated[BreakerOpen, BeforeValidator(no_null)] = Field(
        default_factory=BreakerOpen, description="BreakerOpen: a database cannot be reached."
    )
    tenant_breakers_open: Annotated[TenantBreakersOpen, BeforeValidator(no_null)] = Field(
        default_factory=TenantBreakersOpen,
        description="TenantBreakersOpen: single tenants cannot connect.",
    )
    leaks: Annotated[Leaks, BeforeValidator(no_null)] = Field(
        default_factory=Leaks, description="Leaks: leases were held for longer than leak_after."
    )
    refusals: Annotated[Refusals, BeforeValidator(no_null)] = Field(
        default_factory=Refusals, description="Refusals: requests of a tier are refused."
    )
    reload_failed: Annotated[ReloadFailed, BeforeValidator(no_null)] = Field(
        default_factory=ReloadFailed, description="ReloadFailed: the last reload was refused."
    )
    slot_leak: Annotated[SlotLeak, BeforeValidator(no_null)] = Field(
        default_factory=SlotLeak, description="SlotLeak: connections do not close."
    )
    overshoot: Annotated[Overshoot, BeforeValidator(no_null)] = Field(
        default_factory=Overshoot,
        description="Overshoot: more connections than the capacity: a defect.",
    )
    webhooks: Annotated[dict[WebhookName, Webhook], BeforeValidator(no_nulls)] = Field(
        default_factory=dict, description="Who is told over HTTP, each under a name for the log."
    )

    @property
    def rules(self) -> dict[str, Rule]:
        """The rules by the names of their alerts, such as ``WaitTooLong``."""
        values = (getattr(self, name) for name in type(self).model_fields)
        return {type(value).__name__: value for value in values if isinstance(value, Rule)}
