"""What a webhook is sent: bytes, and the signature that says whose they are."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from .board import RESOLVED, Alert

SIGNATURE: Final = "X-Tenantpool-Signature"
DELIVERY: Final = "X-Tenantpool-Delivery"
VERSION: Final = 1

_TOLERANCE = 300.0
_COLOURS = {"critical": "danger", "warning": "warning"}


def as_json(alert: Alert, service: str) -> dict[str, object]:
    """The template ``json``: everything, times as RFC 3339."""
    return {
        "version": VERSION,
        "service": service,
        "status": alert.state,
        "alert": alert.name,
        "severity": alert.severity,
        "labels": dict(alert.labels),
        "summary": alert.summary,
        "description": alert.description,
        "value": alert.value,
        "since": _moment(alert.since),
        "fired_at": _moment(alert.fired_at),
        "resolved_at": _moment(alert.resolved_at),
    }


def as_slack(alert: Alert, service: str) -> dict[str, object]:
    """The template ``slack``: an incoming webhook of Slack, Mattermost or Rocket.Chat."""
    is_over = alert.state == RESOLVED
    what = "resolved" if is_over else alert.severity
    title = f"[{what}] {alert.name}: {alert.summary}"
    labels = [*alert.labels.items(), ("service", service)]
    return {
        "text": _escaped(title),
        "attachments": [
            {
                "color": "good" if is_over else _COLOURS[alert.severity],
                "fallback": _escaped(title),
                "text": "" if is_over else _escaped(alert.description),
                "fields": [
                    {"title": name, "value": _escaped(value), "short": True}
                    for name, value in labels
                ],
                "ts": int(alert.resolved_at or alert.fired_at or alert.since),
            }
        ],
    }


TEMPLATES: Final = {"json": as_json, "slack": as_slack}


def body_of(alert: Alert, service: str, template: str) -> bytes:
    """The *alert* in the *template*, as UTF-8."""
    return json.dumps(TEMPLATES[template](alert, service), ensure_ascii=False).encode()


def sign(secret: bytes, at: float, body: bytes) -> str:
    """The signature of *body*, sent *at* (seconds since the epoch): ``t=...,v1=...``.

    ``v1`` is HMAC-SHA256, in hexadecimal, over the decimal digits of ``t``, a full stop and the
    body. The time is signed so that what was heard once cannot be sent again later.
    """
    stamp = int(at)
    return f"t={stamp},v1={_digest(secret, stamp, body)}"


def verify(
    secret: bytes, signature: str, body: bytes, now: float, tolerance: float = _TOLERANCE
) -> bool:
    """Whether *signature* is that of *body*, and not older than *tolerance* seconds at *now*.

    For receivers. Does not raise, whatever *signature* is.
    """
    parts: Mapping[str, str] = {
        name: value for name, _, value in (part.partition("=") for part in signature.split(","))
    }
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        return False
    if abs(now - int(stamp)) > tolerance:
        return False
    expected = _digest(secret, int(stamp), body)
    return hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())


def _digest(secret: bytes, stamp: int, body: bytes) -> str:
    return hmac.new(secret, b"%d.%b" % (stamp, body), hashlib.sha256).hexdigest()


def _moment(at: float | None) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if at is not None else None


def _escaped(text: str) -> str:
    """Text that a chat does not read as a link, or as a call to everybody in the channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
