"""Settings in a start-up packet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantpool.gateway.options import settings_of, split_words
from tenantpool.gateway.protocol import ProtocolViolation


def test_parameters_are_settings_but_for_four():
    parameters = {"user": "u", "database": "d", "replication": "off", "TimeZone": "UTC"}
    assert settings_of(parameters) == {"timezone": "UTC"}


def test_options_are_settings_and_parameters_beat_them():
    options = r"-c work_mem=1MB -cstatement-timeout=5 --search-path=a\ b,c --DateStyle=German"
    assert settings_of({"options": options, "datestyle": "ISO"}) == {
        "work_mem": "1MB",
        "statement_timeout": "5",
        "search_path": "a b,c",
        "datestyle": "ISO",
    }


@pytest.mark.parametrize("options", ["-c", "-c x", "--x", "--=1", "-d 5", "x=1", "-c =1"])
def test_what_is_no_setting_is_refused(options: str):
    with pytest.raises(ProtocolViolation) as caught:
        settings_of({"options": options})
    assert caught.value.sqlstate == "42601"


@pytest.mark.parametrize("value", ["database", "true", "on", "1"])
def test_replication_is_refused(value: str):
    with pytest.raises(ProtocolViolation, match="replication"):
        settings_of({"replication": value})


@given(st.lists(st.text(min_size=1)))
def test_words_come_out_as_they_were_escaped(words: list[str]):
    escaped = " ".join("".join(f"\\{letter}" for letter in word) for word in words)
    assert split_words(escaped) == words


@given(st.text(alphabet="a \\\t-c="))
def test_any_text_has_words(text: str):
    assert all(split_words(text))
