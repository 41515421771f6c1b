"""What a record of the log looks like."""

from __future__ import annotations

import logging

import pytest

from tenantpool.journal import report


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("acme", "acme"),
        ("two words", "'two words'"),
        ("", "''"),
        (0.25, "0.250"),
        ("a\nWARNING forged=1", r"'a\nWARNING forged=1'"),
        ("a\nforged=1", r"'a\nforged=1'"),
        ("\x1b[2Ja", r"'\x1b[2Ja'"),
    ],
)
def test_a_record_is_one_line(value: object, shown: str, caplog: pytest.LogCaptureFixture):
    report(logging.WARNING, "it happened", value=value, last=1)
    [record] = caplog.records
    assert record.getMessage() == f"it happened value={shown} last=1"
    assert record.__dict__["fields"] == {"value": value, "last": 1}
