"""What webhooks are sent, and how a receiver knows whose it is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.observe.alerts.board import Alert
from tenantpool.observe.alerts.message import body_of, sign, verify

SECRET = b"a-secret-of-the-receiver"
ALERT = Alert(
    name="Saturated",
    labels={"database": "main"},
    severity="warning",
    state="firing",
    value=0.95,
    summary="main is full",
    description="Raise databases.main.capacity.",
    since=1_700_000_000.0,
    fired_at=1_700_000_600.0,
)
DIGEST = "6e42340cb5d64ceb75d851d80c8f1c48705c951495c6a812c990155414a54720"
OVER = replace(ALERT, state="resolved", resolved_at=1_700_001_000.0)


def test_the_json_template_has_everything() -> None:
    assert json.loads(body_of(OVER, "tenantpool", "json")) == {
        "version": 1,
        "service": "tenantpool",
        "status": "resolved",
        "alert": "Saturated",
        "severity": "warning",
        "labels": {"database": "main"},
        "summary": "main is full",
        "description": "Raise databases.main.capacity.",
        "value": 0.95,
        "since": "2023-11-14T22:13:20+00:00",
        "fired_at": "2023-11-14T22:23:20+00:00",
        "resolved_at": "2023-11-14T22:30:00+00:00",
    }


def test_the_slack_template_has_a_text_and_an_attachment() -> None:
    made = json.loads(body_of(ALERT, "tenantpool", "slack"))
    assert made["text"] == "[warning] Saturated: main is full"
    [attachment] = made["attachments"]
    assert attachment["color"] == "warning"
    assert attachment["text"] == "Raise databases.main.capacity."
    assert attachment["fields"] == [
        {"title": "database", "value": "main", "short": True},
        {"title": "service", "value": "tenantpool", "short": True},
    ]


def test_what_is_over_is_good() -> None:
    made = json.loads(body_of(OVER, "tenantpool", "slack"))
    assert made["text"] == "[resolved] Saturated: main is full"
    assert made["attachments"][0]["color"] == "good"


def test_a_tenants_name_calls_nobody_in_a_chat() -> None:
    alert = replace(ALERT, summary="<!channel> & <http://x|y>", labels={"tier": "<!here>"})
    text = body_of(alert, "s", "slack").decode()
    assert "<" not in text
    assert "&lt;!channel&gt; &amp; " in text


def test_the_signature_is_hmac_sha256_over_time_and_body() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac a-secret-of-the-receiver
    signature = sign(SECRET, 1_700_000_000.9, b"{}")
    assert signature == f"t=1700000000,v1={DIGEST}"
    assert verify(SECRET, signature, b"{}", now=1_700_000_010)


@pytest.mark.parametrize("now", [1_700_000_301, 1_699_999_699])
def test_what_was_signed_long_ago_or_in_the_future_is_refused(now: float) -> None:
    assert not verify(SECRET, sign(SECRET, 1_700_000_000, b"{}"), b"{}", now)


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(min_size=1, max_size=30))
def test_another_body_or_secret_is_refused(body: bytes, other: bytes, secret: bytes) -> None:
    signature = sign(secret, 1000, body)
    assert verify(secret, signature, body, 1000)
    assert verify(secret, signature, other, 1000) == (body == other)
    assert not verify(secret + b"x", signature, body, 1000)


@given(st.text(max_size=80))
def test_no_text_is_taken_for_a_signature(text: str) -> None:
    assert not verify(SECRET, text, b"{}", 1000)


@pytest.mark.parametrize("text", ["", "t=1,v1=", "t=²,v1=a", "t=1000,v1=ä", "v1=a,t=1e3"])
def test_what_is_no_signature_is_refused(text: str) -> None:
    assert not verify(SECRET, text, b"{}", 1000)
